//! One stream, many SSE readers: does each get every message, once, in order, and how soon?
//!
//! Open loop: message `k` is meant to be sent at `k / rate` whatever happened before, carries that
//! time, and every latency counts from it. One thread, one clock, so nothing is compared across
//! machines.
//!
//! Invariant: a reader that loses its connection goes on where the server told it to; what it
//! misses all the same is lost.

mod publish;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use monoio::io::{AsyncWriteRentExt, CancelHandle, CancelableAsyncReadRent, Canceller};
use monoio::net::TcpStream;

use crate::LoadError;
use crate::net::{self, Answers, Clock};
use crate::reader::{Reader, ReaderError};
use crate::report::{FanoutReport, Percentiles};
use crate::tally::Tally;
use crate::target::Target;

/// What to do.
#[derive(Clone, PartialEq, Debug)]
pub struct FanoutPlan {
    /// The stream; created as `application/json` unless it exists.
    pub target: Target,
    /// SSE readers.
    pub readers: u32,
    /// Messages to publish.
    pub messages: u32,
    /// Bytes of each.
    pub payload_bytes: usize,
    /// Messages per second.
    pub rate: f64,
    /// How long after the last message deliveries still count.
    pub drain: Duration,
}

/// Connections that are being set up at the same time.
const SETUPS_AT_ONCE: usize = 128;
/// Time between the last reader's confirmation and the first message.
const CALM: Duration = Duration::from_millis(100);
/// Attempts in a row to reconnect before a reader gives up, and the pause between two.
const ATTEMPTS: u32 = 5;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(200);
const POLL_PAUSE: Duration = Duration::from_millis(5);
/// How long readers may take to notice the end.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs a plan on this thread.
pub fn run(plan: &FanoutPlan) -> Result<FanoutReport, LoadError> {
    if plan.readers == 0 || plan.messages == 0 || !plan.rate.is_finite() || plan.rate <= 0.0 {
        return Err(LoadError::Plan("readers, messages and rate must be greater than zero"));
    }
    net::reserve_descriptors(plan.readers as usize)?;
    net::block_on(run_here(plan))?
}

/// What the tasks of a run share.
struct Run {
    plan: FanoutPlan,
    clock: Clock,
    tally: RefCell<Tally>,
    /// Reader tasks that have not ended.
    present: Cell<u32>,
    /// Readers leave when they notice.
    over: Cell<bool>,
}

async fn run_here(plan: &FanoutPlan) -> Result<FanoutReport, LoadError> {
    create(&plan.target).await?;
    let clock = Clock::start();
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let tally = RefCell::new(Tally::new(since_1970.as_nanos() as u64, plan.messages));
    let (present, over) = (Cell::new(0), Cell::new(false));
    let run = Rc::new(Run { plan: plan.clone(), clock, tally, present, over });

    let canceller = Canceller::new();
    set_up(&run, &canceller).await?;
    let setup = Duration::from_nanos(clock.now_ns());

    let published = publish::publish(&run, clock.now_ns() + CALM.as_nanos() as u64).await?;
    let expected = published.acknowledged * u64::from(plan.readers);
    let deadline = clock.now_ns() + plan.drain.as_nanos() as u64;
    while run.tally.borrow().delivered < expected && clock.now_ns() < deadline {
        monoio::time::sleep(POLL_PAUSE).await;
    }
    run.over.set(true);
    let _ = canceller.cancel();
    let deadline = clock.now_ns() + LEAVE_TIMEOUT.as_nanos() as u64;
    while run.present.get() > 0 && clock.now_ns() < deadline {
        monoio::time::sleep(POLL_PAUSE).await;
    }

    let tally = run.tally.borrow();
    Ok(FanoutReport {
        readers: plan.readers,
        messages: plan.messages,
        payload_bytes: plan.payload_bytes,
        rate: plan.rate,
        achieved_rate: published.achieved_rate,
        setup,
        expected,
        delivered: tally.delivered,
        lost: expected.saturating_sub(tally.delivered),
        duplicated: tally.duplicated,
        reordered: tally.reordered,
        damaged: tally.damaged,
        resumed: tally.resumed,
        failed_readers: tally.failed_readers,
        refused: published.refused,
        delivery: Percentiles::of(&tally.delivery),
        last_reader: Percentiles::of(&tally.last_reader(plan.readers)),
        acknowledgement: Percentiles::of(&published.acknowledgement),
        lateness: Percentiles::of(&published.lateness),
    })
}

/// Creates a stream, or finds it there.
pub(crate) async fn create(target: &Target) -> Result<(), LoadError> {
    let refused = |source| LoadError::Connect { index: 0, source };
    let mut stream = net::connect(target.address, 0, 1).await.map_err(refused)?;
    let request = target.request("PUT", "", "content-type: application/json\r\n", b"");
    let asked = net::ask(&mut stream, &mut Answers::default(), request).await;
    let status = asked.map_err(refused)?;
    match status.is_success() {
        true => Ok(()),
        false => Err(LoadError::Create { path: target.path.clone(), status }),
    }
}

/// Connects all readers, so many at once, until the server has confirmed each.
async fn set_up(run: &Rc<Run>, canceller: &Canceller) -> Result<(), LoadError> {
    let next = Rc::new(RefCell::new(0..run.plan.readers as usize));
    let workers = (0..SETUPS_AT_ONCE).map(|_| {
        let (run, next, cancel) = (Rc::clone(run), Rc::clone(&next), canceller.handle());
        monoio::spawn(async move {
            loop {
                let Some(index) = next.borrow_mut().next() else { return Ok(()) };
                let mut link = Link { run: Rc::clone(&run), index, cancel: cancel.clone() };
                let mut reader = Reader::new("now");
                let failed = |source| LoadError::Reader { index, source };
                let stream = link.join(&mut reader).await.map_err(failed)?;
                run.present.set(run.present.get() + 1);
                drop(monoio::spawn(link.follow(reader, stream)));
            }
        })
    });
    let workers: Vec<_> = workers.collect();
    for worker in workers {
        worker.await?;
    }
    Ok(())
}

/// What a reader's task needs besides the reader.
struct Link {
    run: Rc<Run>,
    index: usize,
    cancel: CancelHandle,
}

/// Bytes of a reader's own buffer: one event of the usual size.
const READ_BYTES: usize = 1024;

impl Link {
    /// A new connection on which the server has confirmed the reader.
    async fn join(&mut self, reader: &mut Reader) -> Result<TcpStream, ReaderError> {
        let Run { plan, .. } = &*self.run;
        let mut stream =
            net::connect(plan.target.address, self.index, plan.readers as usize).await?;
        reader.begin_response();
        stream.write_all(reader.request(&plan.target)).await.0?;
        let mut buf = Vec::with_capacity(READ_BYTES);
        while !reader.is_live() && !reader.is_ended() {
            self.receive(reader, &mut stream, &mut buf).await?;
        }
        Ok(stream)
    }

    /// Reads until the run is over.
    async fn follow(mut self, mut reader: Reader, stream: TcpStream) {
        let mut stream = Some(stream);
        let mut failures = 0;
        while !self.is_over(&reader) && failures < ATTEMPTS {
            let result = match stream.take() {
                Some(stream) => self.read_to_end(&mut reader, stream).await,
                None => {
                    self.run.tally.borrow_mut().resumed += 1;
                    self.join(&mut reader).await.map(|joined| {
                        stream = Some(joined);
                        failures = 0;
                    })
                }
            };
            if result.is_err() && !self.is_over(&reader) {
                failures += 1;
                monoio::time::sleep(ATTEMPT_PAUSE).await;
            }
        }
        if failures == ATTEMPTS {
            self.run.tally.borrow_mut().failed_readers += 1;
        }
        self.run.present.set(self.run.present.get() - 1);
    }

    async fn read_to_end(
        &mut self,
        reader: &mut Reader,
        mut stream: TcpStream,
    ) -> Result<(), ReaderError> {
        let mut buf = Vec::with_capacity(READ_BYTES);
        while !reader.is_ended() {
            self.receive(reader, &mut stream, &mut buf).await?;
        }
        Ok(())
    }

    async fn receive(
        &mut self,
        reader: &mut Reader,
        stream: &mut TcpStream,
        buf: &mut Vec<u8>,
    ) -> Result<(), ReaderError> {
        let (result, returned) =
            stream.cancelable_read(std::mem::take(buf), self.cancel.clone()).await;
        let now_ns = self.run.clock.now_ns();
        *buf = returned;
        match result? {
            0 => reader.finish(),
            read => {
                reader.receive(&buf[..read], now_ns, &mut self.run.tally.borrow_mut())?;
                buf.clear();
                Ok(())
            }
        }
    }

    fn is_over(&self, reader: &Reader) -> bool {
        reader.is_closed() || self.run.over.get()
    }
}
