//! Appends of an open group over pipelined connections: a slow answer never delays the next send,
//! and the messages of a stream stay in order.
//!
//! Invariants: message `k` of the plan has the same stream, sequence number, size and intended
//! time whatever the number of threads; each stream's messages go over one connection,
//! or over another one after a request on it timed out.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use super::clock::Alarm;
use super::core::{Core, Part};
use super::lane::{InFlight, Lane};
use super::sample_log::Who;
use super::steps::Request;
use crate::plan::{Arrivals, RateStage};
use crate::schedule::{Chooser, OpenSchedule, iteration_rng, nanos, schedule_rng};
use crate::user::{Names, Variables};

/// Connections of one group on one thread, at most.
const MAX_CONNECTIONS: u32 = 32;
/// Between two looks at what has timed out.
const SHORTEST_LOOK_NS: u64 = 1_000_000;
const LOOK_NS: u64 = 50_000_000;
const LONGEST_NAP_NS: u64 = 100_000_000;

/// An open group whose only step is an append.
pub(crate) struct Pipeline {
    pub(crate) core: Rc<Core>,
    pub(crate) group: u32,
    pub(crate) stages: Vec<RateStage>,
    pub(crate) arrivals: Arrivals,
    pub(crate) begin_ns: u64,
    pub(crate) request: Request,
    pub(crate) names: Names,
    /// Requests of the group without an answer, above which further ones wait here.
    pub(crate) max_in_flight: u32,
}

impl Pipeline {
    /// Sends everything that is due, until the schedule ends or the run stops, and waits for the
    /// answers.
    pub(crate) async fn run(self) -> std::io::Result<()> {
        let Pipeline { core, group, stages, arrivals, begin_ns, request, names, max_in_flight } =
            self;
        let _task = core.task();
        let alarm = Alarm::new(core.shared.clock)?;
        let seed = core.program.plan.seed;
        let Some((set, _)) = request.streams else { return Ok(()) };
        let stream_set = &core.program.plan.streams[set];
        let mut chooser = Chooser::new(&stream_set.choice, stream_set.count);
        let Part { index: thread, of: threads } = core.thread;
        // Threads without a stream send nothing.
        let senders = Part { index: thread, of: threads.min(stream_set.count) };
        if senders.index >= senders.of {
            return Ok(());
        }
        let in_flight = InFlight::new(senders.within(core.worker).share(u64::from(max_in_flight)));
        let mine = stream_set.count.div_ceil(threads).clamp(1, MAX_CONNECTIONS);
        let request = Rc::new(request);
        // Counted over all threads: the connection's number for the sample log.
        let who = |number| Who { group, user: number * core.part.of + core.part.index + 1 };
        let mut variables = Variables::new(&names);
        let lane = |number| Lane::new(&core, &request, &in_flight, who(number), variables.clone());
        let lanes = Lanes::watched(&core, (0..mine).map(lane).collect());
        core.count_users(group, mine);
        let mut heads = HashMap::new();
        let (mut burst, mut free_ns, mut over) = (0, 0, false);
        let times = OpenSchedule::new(&stages, arrivals, schedule_rng(seed, group));
        for (iteration, at) in times.enumerate() {
            let intended_ns = begin_ns + at;
            over |= core.shared.is_too_late(intended_ns);
            if over && intended_ns >= free_ns {
                break;
            }
            let mut rng = iteration_rng(seed, group, iteration as u64);
            let index = chooser.choose(&mut rng, iteration as u64);
            // Workers take turns, and each stream is one thread's.
            if !core.worker.has(iteration as u64) || !core.thread.has(u64::from(index)) {
                continue;
            }
            if core.shared.clock.now_ns() < intended_ns {
                burst = 0;
                sleep_until(&alarm, &core, intended_ns).await?;
                if core.shared.is_too_late(intended_ns) {
                    break;
                }
            } else {
                burst += 1;
                if burst % 32 == 0 {
                    // Behind: answers must be taken all the same.
                    core.turn.take().await;
                }
            }
            let number = index / threads % mine;
            if !over && in_flight.is_full() {
                over = !in_flight.room(&core.shared).await;
                free_ns = core.shared.clock.now_ns();
            }
            if intended_ns < free_ns {
                core.count_waiting(group, intended_ns);
            }
            if over {
                // It was due, and waited for the server until the end.
                core.not_sent(who(number), Some(request.label), intended_ns);
                continue;
            }
            core.count(group, intended_ns);
            let head = heads.entry(index).or_insert_with(|| head(&core, &request, set, index));
            let lane = lanes.lane(number);
            lane.free_ns.set(free_ns);
            lane.send(head, set, index, intended_ns, &mut variables, &mut rng);
        }
        lanes.drain().await;
        Ok(())
    }
}

/// The connections of a group on one thread.
struct Lanes {
    core: Rc<Core>,
    current: RefCell<Vec<Rc<Lane>>>,
    /// Those on which something timed out: they only wait for the answers to the rest.
    old: RefCell<Vec<Rc<Lane>>>,
    over: Cell<bool>,
}

impl Lanes {
    /// What times out on them fails, until they are drained.
    fn watched(core: &Rc<Core>, current: Vec<Rc<Lane>>) -> Rc<Lanes> {
        let lanes = Rc::new(Lanes {
            core: Rc::clone(core),
            current: RefCell::new(current),
            old: RefCell::default(),
            over: Cell::new(false),
        });
        drop(monoio::spawn(Rc::clone(&lanes).watch()));
        lanes
    }

    fn lane(&self, number: u32) -> Rc<Lane> {
        Rc::clone(&self.current.borrow()[number as usize])
    }

    async fn watch(self: Rc<Self>) {
        let clock = self.core.shared.clock;
        let look_ns = nanos(self.core.program.plan.timeout).clamp(SHORTEST_LOOK_NS, LOOK_NS);
        while !self.over.get() && !self.core.shared.is_over() {
            let next_ns = self.expire().unwrap_or(u64::MAX);
            let now_ns = clock.now_ns();
            let pause_ns = next_ns.saturating_sub(now_ns).clamp(SHORTEST_LOOK_NS, look_ns);
            clock.sleep_until(now_ns + pause_ns).await;
        }
    }

    /// Fails what has timed out; a lane with such a request is replaced, because its connection
    /// may be dead. When the next one times out.
    fn expire(&self) -> Option<u64> {
        let (mut current, mut old) = (self.current.borrow_mut(), self.old.borrow_mut());
        for lane in current.iter_mut().filter(|lane| lane.expire()) {
            let renewed = lane.renewed();
            old.push(std::mem::replace(lane, renewed));
        }
        old.retain(|lane| {
            lane.expire();
            if lane.is_idle() {
                // Nothing is left to fail: this only ends the connection.
                lane.fail("timeout", "");
            }
            !lane.is_idle()
        });
        current.iter().chain(old.iter()).filter_map(|lane| lane.expires_ns()).min()
    }

    /// Waits for the answers, each until it times out.
    async fn drain(&self) {
        while self.expire().is_some() {
            monoio::time::sleep(Duration::from_millis(2)).await;
        }
        self.over.set(true);
    }
}

/// The head of the requests to a stream, up to the value of Content-Length.
fn head(core: &Core, request: &Request, set: usize, index: u32) -> Vec<u8> {
    let path = core.program.path(set, index);
    let host = &core.program.target.host;
    let mut out = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\n").into_bytes();
    let mut typed = false;
    for (name, value) in &request.fields {
        typed |= name.eq_ignore_ascii_case("content-type");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        // Fields that are not constant are not pipelined.
        out.extend_from_slice(value.constant().unwrap_or_default());
        out.extend_from_slice(b"\r\n");
    }
    if !typed {
        let content_type = &core.program.plan.streams[set].content_type;
        out.extend_from_slice(format!("content-type: {content_type}\r\n").as_bytes());
    }
    out.extend_from_slice(b"content-length: ");
    out
}

/// Pauses until a time, looking now and then whether the run was stopped.
pub(super) async fn sleep_until(alarm: &Alarm, core: &Core, at_ns: u64) -> std::io::Result<()> {
    loop {
        let now_ns = core.shared.clock.now_ns();
        if at_ns <= now_ns || core.shared.is_stopping() {
            return Ok(());
        }
        match now_ns + LONGEST_NAP_NS < at_ns {
            true => alarm.nap_until(now_ns + LONGEST_NAP_NS).await?,
            false => alarm.sleep_until(&core.turn, at_ns).await?,
        }
    }
}
