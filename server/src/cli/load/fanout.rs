//! `thalweg load fanout`: the main scenario in one line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use thalweg_loadgen::engine::{self, RunOptions, Stop};
use thalweg_loadgen::html;
use thalweg_loadgen::live::{LiveMode, show};
use thalweg_loadgen::plan::{self, FanoutOptions, TailMode};
use thalweg_loadgen::result::RunResult;

use super::text;

/// The arguments of `thalweg load fanout`.
#[derive(Args, Debug)]
pub struct FanoutArgs {
    /// The stream, like http://127.0.0.1:4437/v1/stream/x; created as JSON unless it exists
    #[arg(long)]
    url: String,
    /// Live readers, one connection each
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    readers: u32,
    /// Messages per second
    #[arg(long, default_value = "5", value_parser = rate)]
    rate: f64,
    /// How long messages are published, like 30s or 5m
    #[arg(long, default_value = "60s", value_parser = duration)]
    duration: Duration,
    /// Of it, at the beginning: not measured
    #[arg(long, default_value = "0s", value_parser = duration)]
    warm_up: Duration,
    /// How long after the last message deliveries still count
    #[arg(long, default_value = "10s", value_parser = duration)]
    drain: Duration,
    /// How the readers read
    #[arg(long, value_enum, default_value = "sse")]
    mode: Mode,
    /// Bytes of a message
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=8_388_608))]
    payload: u32,
    /// Streams, named URL/0 and so on if there are several; readers are spread over them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    streams: u32,
    /// New connections per second during the set-up
    #[arg(long, default_value = "5000", value_parser = rate)]
    connect_rate: f64,
    /// Bearer token of every request
    #[arg(long, env = "STREAM_TOKEN", hide_env_values = true)]
    bearer: Option<String>,
    /// Threads that take deliveries, and as many that send
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    cores: u16,
    /// Where the HTML report and the whole result go: a directory that does not exist or is empty
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
}

/// How a live reader reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Mode {
    /// Server-Sent Events
    Sse,
    /// One long poll after another
    LongPoll,
    /// A plain read every 100 ms
    CatchUp,
}

const CATCH_UP_PAUSE: Duration = Duration::from_millis(100);

pub(super) fn main(args: &FanoutArgs) -> ExitCode {
    if args.warm_up >= args.duration {
        eprintln!("thalweg: --warm-up must be shorter than --duration");
        return ExitCode::from(2);
    }
    if let Some(reason) = args.output.as_deref().and_then(refused) {
        eprintln!("thalweg: --output: {reason}");
        return ExitCode::from(2);
    }
    match run(args) {
        Ok(passed) => ExitCode::from(u8::from(!passed)),
        Err(error) => {
            eprintln!("thalweg: {error}");
            ExitCode::from(3)
        }
    }
}

/// Runs it and shows what came of it. Whether it passed.
fn run(args: &FanoutArgs) -> Result<bool, String> {
    let plan = plan::fanout(&FanoutOptions {
        url: args.url.clone(),
        readers: args.readers,
        rate: args.rate,
        duration: args.duration,
        warm_up: args.warm_up,
        drain: args.drain,
        mode: match args.mode {
            Mode::Sse => TailMode::Sse,
            Mode::LongPoll => TailMode::LongPoll,
            Mode::CatchUp => TailMode::CatchUp { pause: CATCH_UP_PAUSE },
        },
        payload_bytes: args.payload,
        streams: args.streams,
        bearer: args.bearer.clone(),
        connect_rate: args.connect_rate,
        ..FanoutOptions::default()
    });
    let options = RunOptions {
        cores: engine::Cores::Count(usize::from(args.cores)),
        ..RunOptions::default()
    };
    let mode = if args.quiet { LiveMode::Quiet } else { LiveMode::Auto };
    let view = show(options.board.clone(), Stop::clone(&options.stop), mode);
    let result = engine::run(&plan, &options);
    view.finish();
    let result = result.map_err(|error| error.to_string())?;
    print!("{}", text::of(&result));
    if let Some(dir) = &args.output {
        write(dir, &result).map_err(|error| format!("{}: {error}", dir.display()))?;
        println!("report       {}", dir.join("index.html").display());
    }
    Ok(text::passed(&result))
}

/// Why a directory cannot take the report.
fn refused(dir: &Path) -> Option<String> {
    let mut entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => return Some(format!("{}: {error}", dir.display())),
    };
    entries.next().map(|_| format!("{} is not empty", dir.display()))
}

fn write(dir: &Path, result: &RunResult) -> Result<(), Box<dyn std::error::Error>> {
    fs::create_dir_all(dir)?;
    fs::write(dir.join("index.html"), html::render(result)?)?;
    fs::write(dir.join("result.json"), serde_json::to_vec(result)?)?;
    Ok(())
}

/// A number greater than zero.
fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 && rate <= 1e6 => Ok(rate),
        _ => Err("must be a number per second, greater than 0 and at most 1000000".into()),
    }
}

/// A whole number and `ms`, `s`, `m` or `h`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a whole number with a unit, like 500ms, 30s, 5m or 1h".to_owned();
    let end = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    match number.checked_mul(unit_ms) {
        Some(ms) if ms <= LONGEST_MS => Ok(Duration::from_millis(ms)),
        _ => Err("must be at most 24h".into()),
    }
}

const LONGEST_MS: u64 = 24 * 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_rates() {
        let check = |text: &str, want: Option<u64>| {
            assert_eq!(duration(text).ok().map(|got| got.as_millis() as u64), want, "{text}");
        };
        check("500ms", Some(500));
        check("30s", Some(30_000));
        check("24h", Some(LONGEST_MS));
        for wrong in ["", "5", "s", "1.5s", "-1s", "25h", "99999999999999999999s", "1d"] {
            check(wrong, None);
        }
        assert_eq!(rate("0.5"), Ok(0.5));
        for wrong in ["0", "-1", "inf", "NaN", "x", "1e9"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_report_does_not_go_over_another_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(refused(&dir.path().join("new")), None);
        assert_eq!(refused(dir.path()), None);
        fs::write(dir.path().join("index.html"), "x").unwrap();
        assert!(refused(dir.path()).unwrap().contains("not empty"));
    }
}
