//! The publisher: sends on schedule and takes the answers as they come, so that a slow answer
//! never delays the next message.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use monoio::io::{AsyncWriteRentExt, OwnedReadHalf, Splitable};
use monoio::net::TcpStream;

use super::{POLL_PAUSE, Run};
use crate::LoadError;
use crate::message::Stamp;
use crate::net::{self, Answers, Clock};
use crate::tally::{Latencies, latencies};

/// What came of publishing.
pub(super) struct Published {
    pub(super) acknowledged: u64,
    pub(super) refused: u64,
    pub(super) achieved_rate: f64,
    pub(super) acknowledgement: Latencies,
    pub(super) lateness: Latencies,
}

/// What the sending and the receiving half share.
struct Pipeline {
    clock: Clock,
    /// Intended times of the messages that have not been answered.
    waiting: RefCell<VecDeque<u64>>,
    acknowledgement: RefCell<Latencies>,
    acknowledged: Cell<u64>,
    broken: Cell<bool>,
}

/// Publishes all messages of a plan, the first at `start_ns`, and waits for their answers.
pub(super) async fn publish(run: &Run, start_ns: u64) -> Result<Published, LoadError> {
    let Run { plan, clock, .. } = run;
    let failed = |source| LoadError::Connect { index: plan.readers as usize, source };
    let stream = net::connect(plan.target.address, 0, 1).await.map_err(failed)?;
    let (reads, mut writes) = stream.into_split();
    let pipeline = Rc::new(Pipeline {
        clock: *clock,
        waiting: RefCell::default(),
        acknowledgement: RefCell::new(latencies()),
        acknowledged: Cell::new(0),
        broken: Cell::new(false),
    });
    drop(monoio::spawn(take_answers(Rc::clone(&pipeline), reads)));

    let id = run.tally.borrow().run;
    let mut lateness = latencies();
    let mut last_sent_ns = start_ns;
    for sequence in 0..plan.messages {
        let intended_ns = start_ns + (f64::from(sequence) * 1e9 / plan.rate) as u64;
        clock.sleep_until(intended_ns).await;
        let message =
            Stamp { run: id, source: 0, sequence, intended_ns }.message(plan.payload_bytes);
        let fields = "content-type: application/json\r\n";
        let request = plan.target.request("POST", "", fields, &message);
        last_sent_ns = clock.now_ns();
        lateness.saturating_record(last_sent_ns.saturating_sub(intended_ns));
        pipeline.waiting.borrow_mut().push_back(intended_ns);
        if pipeline.broken.get() || writes.write_all(request).await.0.is_err() {
            break;
        }
    }
    let deadline = clock.now_ns() + plan.drain.as_nanos() as u64;
    let waits = || !pipeline.waiting.borrow().is_empty() && !pipeline.broken.get();
    while waits() && clock.now_ns() < deadline {
        monoio::time::sleep(POLL_PAUSE).await;
    }
    let acknowledged = pipeline.acknowledged.get();
    let intervals = f64::from(plan.messages - 1).max(1.0);
    Ok(Published {
        acknowledged,
        refused: u64::from(plan.messages) - acknowledged,
        achieved_rate: intervals * 1e9 / (last_sent_ns.saturating_sub(start_ns).max(1)) as f64,
        acknowledgement: pipeline.acknowledgement.borrow().clone(),
        lateness,
    })
}

async fn take_answers(pipeline: Rc<Pipeline>, mut reads: OwnedReadHalf<TcpStream>) {
    let mut answers = Answers::default();
    while answers.read_from(&mut reads).await.is_ok() {
        let now_ns = pipeline.clock.now_ns();
        loop {
            match answers.next() {
                Ok(Some(status)) => {
                    let intended_ns = pipeline.waiting.borrow_mut().pop_front();
                    if let (true, Some(intended_ns)) = (status.is_success(), intended_ns) {
                        let latency = now_ns.saturating_sub(intended_ns);
                        pipeline.acknowledgement.borrow_mut().saturating_record(latency);
                        pipeline.acknowledged.set(pipeline.acknowledged.get() + 1);
                    }
                }
                Ok(None) => break,
                Err(_) => return pipeline.broken.set(true),
            }
        }
    }
    pipeline.broken.set(true);
}
