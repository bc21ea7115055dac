//! Reads of history through the shard's read cache: what is not there is read in chunks, each by
//! one reader for all that wait for it.
//!
//! Invariant: so many reads are under way at once, and no more; the others wait in line.
//! Deliberately absent: what to do about damage. A chunk that cannot be read whole is not made, and
//! the caller reads exactly what was asked for instead.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use foldhash::fast::RandomState;
use thalweg_proto::stream::record::StreamId;
use thalweg_storage::record::SpanRecords;

use super::Core;
use super::jobs::{read_group, worth_one_read};
use crate::config::limits::CHUNK_READS;
use crate::local::{Sender, oneshot};
use crate::shard::history::{Chunk, ChunkBuilder, ChunkPlan};
use crate::shard::range::{Range, RangeRequest};
use crate::shard::{Collector, LookBack};

/// A chunk; `None` if it could not be made.
type Made = Option<Arc<Chunk>>;

/// By stream and number of the chunk: who waits.
type UnderWay = HashMap<(StreamId, u64), Vec<Sender<Made>>, RandomState>;

/// What is being read, and who waits.
#[derive(Default)]
pub(super) struct ChunkReads {
    under_way: RefCell<UnderWay>,
    running: Cell<usize>,
    line: RefCell<VecDeque<Sender<()>>>,
}

impl Core {
    /// The beginning of a range, as far as it can be had in chunks; `None` if not at all.
    pub(super) async fn read_history(self: &Rc<Core>, request: &RangeRequest) -> Option<Range> {
        if request.one_record {
            return None;
        }
        let held = self.shard.borrow().held().clone();
        let mut collector = Collector::new(request, &held);
        while let Some(chunk) = self.chunk(request.id, collector.end()).await {
            match collector.take_chunk(&chunk) {
                Ok(true) => {}
                Ok(false) | Err(_) => break,
            }
        }
        (!collector.is_empty()).then(|| collector.finish())
    }

    /// The chunk that has a position of a stream.
    async fn chunk(self: &Rc<Core>, id: StreamId, position: u64) -> Made {
        let plan = match self.shard.borrow_mut().look_back(id, position) {
            LookBack::Here(chunk) => return Some(chunk),
            LookBack::Nothing => return None,
            LookBack::Read(plan) => plan,
        };
        let key = (id, plan.start);
        let (sender, receiver) = oneshot();
        let first = {
            let mut under_way = self.chunk_reads.under_way.borrow_mut();
            let first = !under_way.contains_key(&key);
            under_way.entry(key).or_default().push(sender);
            first
        };
        if first {
            let made = self.read_chunk(&plan).await.map(Arc::new);
            if let Some(chunk) = &made {
                self.shard.borrow_mut().remember(id, chunk);
            }
            let waiting = self.chunk_reads.under_way.borrow_mut().remove(&key);
            waiting.into_iter().flatten().for_each(|sender| sender.send(made.clone()));
        }
        // Who waited may have wanted more than was there when the reading began.
        receiver.recv().await.flatten().filter(|chunk| position < chunk.end())
    }

    async fn read_chunk(self: &Rc<Core>, plan: &ChunkPlan) -> Option<Chunk> {
        let _turn = self.chunk_reads.turn().await;
        let mut builder =
            ChunkBuilder::new(plan.start, (plan.end - plan.start) as usize, plan.framing);
        let mut rest = &plan.spans[..];
        while !rest.is_empty() {
            let (group, others) = rest.split_at(worth_one_read(rest));
            rest = others;
            let (bytes, start) = read_group(self, group).await.ok()?;
            for span in group {
                let from = span.location.file_offset as usize - start;
                let records = bytes.slice(from..from + span.location.record_len as usize);
                for record in SpanRecords::new(records, plan.id, span.position) {
                    let record = record.ok()?;
                    builder.push(record.position, &record.payload).then_some(())?;
                }
            }
        }
        let held = self.shard.borrow().held().clone();
        (builder.end() == plan.end).then(|| builder.finish(&held))
    }
}

impl ChunkReads {
    /// Waits for a turn to read; it ends when this is dropped.
    async fn turn(&self) -> Turn<'_> {
        if self.running.get() < CHUNK_READS {
            self.running.set(self.running.get() + 1);
        } else {
            let (sender, receiver) = oneshot();
            self.line.borrow_mut().push_back(sender);
            // Whoever ends hands its turn over.
            receiver.recv().await;
        }
        Turn(self)
    }
}

struct Turn<'a>(&'a ChunkReads);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let next = self.0.line.borrow_mut().pop_front();
        match next {
            Some(next) => next.send(()),
            None => self.0.running.set(self.0.running.get() - 1),
        }
    }
}
