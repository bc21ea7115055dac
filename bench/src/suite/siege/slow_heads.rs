//! Connections that send the head of a request a byte at a time and never end it, and what clients
//! that append get beside them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::super::{Part, Setting, Turn};
use super::open_loop::{Shape, Taken, prepare, run};
use crate::Failure;
use crate::contest::Running;
use crate::figures::{Metric, written};

pub(super) fn part(setting: &Setting) -> Part {
    let slow = setting.pick(2000, 100);
    let shape = Shape {
        connections: 64,
        rate: Some(setting.pick(5000.0, 500.0)),
        length: Duration::from_secs(setting.pick(25, 2)),
        messages: 1,
    };
    let title = format!(
        "{} connections with slow heads beside {} appends/s over {} others",
        written(slow as f64),
        shape.rate.unwrap_or_default(),
        shape.connections
    );
    let metrics = vec![
        Metric::alone("p99 ms alone"),
        Metric::alone("p99 ms beside"),
        Metric::alone("beside by alone"),
        Metric::alone("p50 ms alone"),
        Metric::alone("p50 ms beside"),
        Metric::alone("given up"),
        Metric::alone("refused"),
    ];
    let measure = move |turn: &Turn<'_>| measure(turn, shape, slow);
    let mut part = Part::new(title, metrics, Box::new(measure))
        .note("given up: heads that the server ended; each is begun anew at once")
        .with(setting.thalweg());
    part.descriptors = slow as u64 + 512;
    part
}

fn measure(turn: &Turn<'_>, shape: Shape, slow: usize) -> Result<Vec<f64>, Failure> {
    let running = turn.start()?;
    prepare(&running)?;
    let alone = run(&running, shape)?;
    let over = AtomicBool::new(false);
    let (beside, given_up) = thread::scope(|scope| {
        let slow = scope.spawn(|| drip(&running, slow, &over));
        let beside = run(&running, shape);
        over.store(true, Relaxed);
        (beside, slow.join())
    });
    let (beside, given_up) = (beside?, given_up.map_err(|_| "the slow heads failed")??);
    let p = |taken: &Taken, percentile| taken.percentile(percentile);
    let (alone_p99, beside_p99) = (p(&alone.accepted, 99.0), p(&beside.accepted, 99.0));
    Ok(vec![
        alone_p99,
        beside_p99,
        beside_p99 / alone_p99,
        p(&alone.accepted, 50.0),
        p(&beside.accepted, 50.0),
        given_up as f64,
        (alone.refused.len() + beside.refused.len()) as f64,
    ])
}

/// All connect at once, then each sends a byte every second. How many were given up.
fn drip(running: &Running, count: usize, over: &AtomicBool) -> Result<u64, Failure> {
    let mut given_up = 0;
    let begin = |_| Ok::<_, Failure>(start(running)?);
    let mut sockets = (0..count).map(begin).collect::<Result<Vec<_>, _>>()?;
    while !over.load(Relaxed) {
        let round = Instant::now();
        for socket in &mut sockets {
            let ended = match socket.read(&mut [0; 512]) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    socket.write_all(b"x").is_err()
                }
                // An answer, or the end.
                _ => true,
            };
            if ended {
                given_up += 1;
                *socket = start(running)?;
            }
        }
        thread::sleep(Duration::from_secs(1).saturating_sub(round.elapsed()));
    }
    Ok(given_up)
}

fn start(running: &Running) -> std::io::Result<TcpStream> {
    let mut socket = running.connect()?;
    socket.write_all(b"POST /v1/stream/a HTTP/1.1\r\nhost: ")?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
