//! Closed-loop appends: so many connections, each with one request under way, over so many
//! streams. Says how fast a server takes appends, not how it behaves at a given rate.
//!
//! Invariant: only acknowledged appends count, and only those sent within the run.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use crate::LoadError;
use crate::fanout::create;
use crate::message::Stamp;
use crate::net::{self, Answers, Clock};
use crate::report::{AppendReport, Percentiles};
use crate::tally::{Latencies, latencies};
use crate::target::Target;

/// What to do.
#[derive(Clone, PartialEq, Debug)]
pub struct AppendPlan {
    /// The streams are made below this one: `<target>/0` and so on.
    pub target: Target,
    /// Connections.
    pub connections: usize,
    /// Streams.
    pub streams: usize,
    /// Bytes of each message.
    pub payload_bytes: usize,
    /// How long.
    pub duration: Duration,
}

/// Runs a plan on this thread.
pub fn run(plan: &AppendPlan) -> Result<AppendReport, LoadError> {
    if plan.connections == 0 || plan.streams == 0 {
        return Err(LoadError::Plan("connections and streams must be greater than zero"));
    }
    net::reserve_descriptors(plan.connections)?;
    net::block_on(run_here(plan))?
}

struct Run {
    clock: Clock,
    end_ns: u64,
    requests: Vec<Vec<u8>>,
    connections: usize,
    target: Target,
    latency: RefCell<Latencies>,
    refused: Cell<u64>,
    broken: Cell<u64>,
}

async fn run_here(plan: &AppendPlan) -> Result<AppendReport, LoadError> {
    let mut requests = Vec::with_capacity(plan.streams);
    for index in 0..plan.streams {
        let stream = plan.target.child(&index.to_string());
        create(&stream).await?;
        let message =
            Stamp { run: 0, source: 0, sequence: 0, intended_ns: 0 }.message(plan.payload_bytes);
        let fields = "content-type: application/json\r\n";
        requests.push(stream.request("POST", "", fields, &message));
    }
    let mut streams = Vec::with_capacity(plan.connections);
    for index in 0..plan.connections {
        let connected = net::connect(plan.target.address, index, plan.connections).await;
        streams.push(connected.map_err(|source| LoadError::Connect { index, source })?);
    }
    let clock = Clock::start();
    let run = Rc::new(Run {
        clock,
        end_ns: plan.duration.as_nanos() as u64,
        requests,
        connections: plan.connections,
        target: plan.target.clone(),
        latency: RefCell::new(latencies()),
        refused: Cell::new(0),
        broken: Cell::new(0),
    });
    let workers: Vec<_> = streams
        .into_iter()
        .enumerate()
        .map(|(index, stream)| monoio::spawn(append(Rc::clone(&run), index, stream)))
        .collect();
    for worker in workers {
        worker.await;
    }
    let latency = run.latency.borrow();
    Ok(AppendReport {
        connections: plan.connections,
        streams: plan.streams,
        payload_bytes: plan.payload_bytes,
        elapsed: Duration::from_nanos(clock.now_ns()),
        acknowledged: latency.len(),
        refused: run.refused.get(),
        broken: run.broken.get(),
        latency: Percentiles::of(&latency),
    })
}

/// One connection: the streams in turn, each connection beginning elsewhere.
async fn append(run: Rc<Run>, index: usize, mut stream: monoio::net::TcpStream) {
    let mut answers = Answers::default();
    let mut turn = index;
    loop {
        let sent_ns = run.clock.now_ns();
        if sent_ns >= run.end_ns {
            return;
        }
        let request = run.requests[turn % run.requests.len()].clone();
        turn += run.connections;
        match net::ask(&mut stream, &mut answers, request).await {
            Ok(status) if status.is_success() => {
                let latency = run.clock.now_ns() - sent_ns;
                run.latency.borrow_mut().saturating_record(latency);
            }
            Ok(_) => run.refused.set(run.refused.get() + 1),
            Err(_) => {
                run.broken.set(run.broken.get() + 1);
                answers = Answers::default();
                match net::connect(run.target.address, index, run.connections).await {
                    Ok(again) => stream = again,
                    Err(_) => return,
                }
            }
        }
    }
}
