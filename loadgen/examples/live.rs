//! Shows a made-up run in the live view: `live [auto|full|plain] [seconds]`.

use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use thalweg_loadgen::engine::Stop;
use thalweg_loadgen::live::{Board, CoreProgress, LabelProgress, LiveMode, Phase, Progress, show};
use thalweg_loadgen::result::ErrorCount;

fn main() {
    let argument = |at| std::env::args().nth(at);
    let mode = match argument(1).as_deref() {
        Some("full") => LiveMode::Full,
        Some("plain") => LiveMode::Plain,
        _ => LiveMode::Auto,
    };
    let seconds = argument(2).and_then(|text| text.parse().ok()).unwrap_or(60);
    let (board, stop) = (Board::default(), Stop::default());
    board.write(|progress| *progress = beginning(seconds * 1000));
    let view = show(board.clone(), stop.clone(), mode);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(seconds) && !stop.is_stopped() {
        board.write(|progress| advance(progress, begin.elapsed(), &mut random));
        std::thread::sleep(Duration::from_secs(1));
    }
    board.write(|progress| progress.phase = Phase::Draining);
    std::thread::sleep(Duration::from_secs(1));
    view.finish();
    println!("{}", if stop.is_stopped() { "stopped" } else { "ended" });
}

fn beginning(phase_ms: u64) -> Progress {
    let label = |label: &str, deliveries| LabelProgress {
        label: label.to_owned(),
        deliveries,
        ..LabelProgress::default()
    };
    Progress {
        plan: "fan-out to 10,000 readers".to_owned(),
        target: "http://127.0.0.1:4437/v1/stream".to_owned(),
        phase: Phase::Running,
        phase_ms: Some(phase_ms),
        users: 4,
        readers: 10_000,
        readers_wanted: 10_000,
        labels: vec![label("publish", false), label("read history", false), label("tail", true)],
        cores: (0..2).map(|n| CoreProgress { name: n.to_string(), ..Default::default() }).collect(),
        ..Progress::default()
    }
}

fn advance(progress: &mut Progress, elapsed: Duration, random: &mut impl rand::Rng) {
    progress.elapsed_ms = elapsed.as_millis() as u64;
    progress.in_flight = random.random_range(0..5);
    // Every twentieth second the server stalls a little.
    let slow = if elapsed.as_secs() % 20 == 13 { 8 } else { 1 };
    for (label, (rate, typical_ns)) in
        progress.labels.iter_mut().zip([(5u64, 900_000u64), (390, 4_000_000), (50_000, 20_000_000)])
    {
        let ended = rate + random.random_range(0..=rate / 10);
        label.last.clear();
        for _ in 0..ended.min(2_000) {
            let tail = 1.0 / (1.0 - random.random::<f64>() * 0.999);
            let ns = typical_ns as f64 * slow as f64 * (0.4 + tail.ln());
            label.last.record_n(ns as u64, ended.div_ceil(2_000));
        }
        let last = label.last.clone();
        label.all.merge(&last);
        label.total += ended;
        label.per_second = ended as f64;
    }
    for core in &mut progress.cores {
        core.per_second = 25_000.0 + random.random_range(0.0..2_000.0);
        core.lateness_p99 = 40_000 * slow + random.random_range(0..20_000);
    }
    if slow > 1 {
        progress.labels[1].failed += 3;
        progress.errors = vec![ErrorCount {
            label: "read history".to_owned(),
            kind: "status 503".to_owned(),
            count: progress.labels[1].failed,
            example: "GET /v1/stream/board?offset=-1: 503, wanted 2xx or 304".to_owned(),
        }];
    }
}
