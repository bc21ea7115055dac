//! Sealing in the world of the tests: what the server's core and its compactor do together, a
//! step at a time, so that anything can happen in between.

use std::path::Path;
use std::sync::Arc;

use thalweg_proto::stream::record::StreamId;
use thalweg_storage::{Disk, Placement, Plan, ReadSpan, SealError, SealJob, Sealed, StoredStream};

use crate::world::{Core, World};

/// A sealing that is under way.
pub(crate) enum Sealing {
    Copying { plan: Plan, job: Box<SealJob>, ids: Vec<StreamId>, next: usize },
    Moving { plan: Plan, sealed: Box<Sealed>, next: usize },
}

impl World {
    /// A step of a sealing: plan and begin, copy some streams, finish, move some streams.
    pub(crate) fn seal_step(&mut self, core: usize, streams: usize) {
        let (disk, dir) = (Arc::clone(&self.disk), self.dir.clone());
        let this = &mut self.cores[core];
        match this.try_seal_step(&disk, &dir, streams) {
            Ok(true) => self.sealed += 1,
            Ok(false) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Seals as long as there is something to do.
    pub(crate) fn seal_all(&mut self, core: usize) {
        loop {
            let was_idle = self.cores[core].sealing.is_none();
            self.seal_step(core, usize::MAX);
            if was_idle && self.cores[core].sealing.is_none() {
                break;
            }
        }
    }
}

impl Core {
    /// Returns whether a sealing has ended.
    pub(crate) fn try_seal_step(
        &mut self,
        disk: &Arc<dyn Disk>,
        dir: &Path,
        streams: usize,
    ) -> Result<bool, SealError> {
        match self.sealing.take() {
            None => {
                let Some(plan) = self.segments.plan() else { return Ok(false) };
                let begun = SealJob::begin(disk, dir, &plan.inputs, plan.output, &mut |_| {});
                let (job, ids) = match begun {
                    Ok(begun) => begun,
                    Err(error) => {
                        let unreadable = match &error {
                            SealError::Damaged { segment, .. } => Some(*segment),
                            _ => None,
                        };
                        self.segments.not_sealed(&plan, unreadable);
                        return Err(error);
                    }
                };
                let job = Box::new(job);
                self.sealing = Some(Sealing::Copying { plan, job, ids, next: 0 });
                Ok(false)
            }
            Some(Sealing::Copying { plan, mut job, ids, next }) if next < ids.len() => {
                let end = next.saturating_add(streams).min(ids.len());
                for id in &ids[next..end] {
                    // In two halves: a slice may end inside a stream.
                    let spans = self.spans_in(*id, &plan);
                    let (one, other) = spans.split_at(spans.len() / 2);
                    job.copy(one, &mut |_| {})?;
                    job.copy(other, &mut |_| {})?;
                }
                self.sealing = Some(Sealing::Copying { plan, job, ids, next: end });
                Ok(false)
            }
            Some(Sealing::Copying { plan, job, .. }) => {
                let sealed = Box::new(job.finish(&mut |_| {})?);
                if let Some(facts) = &sealed.file {
                    self.segments.sealing_ends(&plan, facts);
                }
                self.sealing = Some(Sealing::Moving { plan, sealed, next: 0 });
                Ok(false)
            }
            Some(Sealing::Moving { plan, sealed, next }) => {
                let rest = self.move_some(&plan, &sealed.chunks[next..], streams);
                let next = sealed.chunks.len() - rest;
                if rest > 0 {
                    self.sealing = Some(Sealing::Moving { plan, sealed, next });
                    return Ok(false);
                }
                self.segments.sealed(&plan, &sealed);
                Ok(true)
            }
        }
    }

    fn spans_in(&self, id: StreamId, plan: &Plan) -> Vec<Placement> {
        let Some(StoredStream { extents, .. }) = self.streams.get(&id) else { return Vec::new() };
        let spans = extents.in_segments(&plan.inputs, 0);
        spans.map(|span| Placement { stream: id, span }).collect()
    }

    fn move_some(&mut self, plan: &Plan, mut chunks: &[Placement], streams: usize) -> usize {
        for _ in 0..streams {
            let Some(first) = chunks.first() else { break };
            let (now, rest) =
                chunks.split_at(chunks.partition_point(|chunk| chunk.stream <= first.stream));
            chunks = rest;
            let Some(stream) = self.streams.get_mut(&first.stream) else { continue };
            let spans: Vec<ReadSpan> = now.iter().map(|chunk| chunk.span).collect();
            let resealed = stream.extents.reseal(&plan.inputs, &spans).expect("all bytes");
            self.segments.record_resealed(&resealed, plan.output);
        }
        chunks.len()
    }
}
