//! One sealing: blocking, for a helper thread, a slice at a time.

use std::path::Path;
use std::sync::Arc;

use thalweg_proto::stream::record::StreamId;

use super::footer::Footer;
use super::log_streams::log_streams;
use super::reader::SealedFile;
use super::source::Source;
use super::writer::SealedWriter;
use super::{Pace, SealError};
use crate::disk::Disk;
use crate::error::Damage;
use crate::location::SegmentRef;
use crate::record::SpanRecords;
use crate::writer::Placement;

/// A sealed segment in the making.
pub struct SealJob {
    inputs: Vec<Source>,
    writer: SealedWriter,
    /// The stream of which a record could not be read: all of it stays where it is.
    abandoned: Option<StreamId>,
    unreadable: Vec<SealError>,
}

/// What a sealing came to.
#[derive(Debug)]
pub struct Sealed {
    /// The new file, unless there was nothing to put into it.
    pub file: Option<SealedFacts>,
    /// Its chunks, ascending by stream and position: what to give to
    /// [`crate::Extents::reseal`], all chunks of a stream at once.
    pub chunks: Vec<Placement>,
    /// What could not be read. Its streams are not in `chunks`.
    pub unreadable: Vec<SealError>,
    /// Bytes read from the inputs.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
}

/// What a new sealed segment holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SealedFacts {
    /// Its footer.
    pub footer: Footer,
    /// Bytes of the file.
    pub file_bytes: u64,
}

impl SealJob {
    /// Opens the inputs and begins the file. Returns the ids of the streams that have had bytes in
    /// the inputs, ascending.
    pub fn begin(
        disk: &Arc<dyn Disk>,
        data_dir: &Path,
        inputs: &[SegmentRef],
        output: SegmentRef,
        pace: Pace<'_>,
    ) -> Result<(SealJob, Vec<StreamId>), SealError> {
        let mut sources = Vec::with_capacity(inputs.len());
        let (mut ids, mut unreadable) = (Vec::new(), Vec::new());
        for segment in inputs {
            let mut source = Source::open(&**disk, data_dir, *segment)?;
            if segment.is_sealed() {
                let mut file = SealedFile::of(source, pace)?;
                ids.extend(file.index(pace)?.iter().map(|entry| entry.stream));
                sources.push(file.into_source());
            } else {
                unreadable.extend(log_streams(&mut source, &mut ids, pace)?);
                sources.push(source);
            }
            // Most streams of a log come often.
            ids.sort_unstable();
            ids.dedup();
        }
        let writer = SealedWriter::create(disk, data_dir, output)?;
        Ok((SealJob { inputs: sources, writer, abandoned: None, unreadable }, ids))
    }

    /// Copies the records of these spans. All calls together: ascending by stream and position.
    pub fn copy(&mut self, spans: &[Placement], pace: Pace<'_>) -> Result<(), SealError> {
        for placement in spans {
            if self.abandoned != Some(placement.stream) {
                self.copy_span(placement, pace)?;
            }
        }
        Ok(())
    }

    /// Makes the file durable, if it has any record.
    pub fn finish(mut self, pace: Pace<'_>) -> Result<Sealed, SealError> {
        let segment = self.writer.segment();
        let file = match self.writer.index.is_empty() {
            true => {
                self.writer.remove();
                None
            }
            false => match self.writer.finish(pace) {
                Ok((footer, file_bytes)) => Some(SealedFacts { footer, file_bytes }),
                Err(error) => {
                    self.writer.remove();
                    return Err(error);
                }
            },
        };
        Ok(Sealed {
            file,
            chunks: self.writer.index.iter().map(|entry| entry.placement(segment)).collect(),
            unreadable: self.unreadable,
            bytes_read: self.inputs.iter().map(|source| source.read).sum(),
            bytes_written: self.writer.written,
        })
    }

    /// Gives up and removes what was written.
    pub fn abort(self) {
        self.writer.remove();
    }

    fn copy_span(&mut self, placement: &Placement, pace: Pace<'_>) -> Result<(), SealError> {
        let Placement { stream, span } = *placement;
        let segment = span.location.segment;
        let Some(source) = self.inputs.iter_mut().find(|source| source.segment == segment) else {
            return Ok(());
        };
        let at = u64::from(span.location.file_offset);
        let mut records = match source.slice(at, span.location.record_len.into(), pace) {
            Ok(bytes) => SpanRecords::new(bytes, stream, span.position),
            Err(error) => return self.give_up(stream, segment, error),
        };
        let mut end = span.position;
        loop {
            let place = at + records.at() as u64;
            match records.next() {
                None => break,
                Some(Ok(record)) => {
                    let len = record.payload.bytes.len();
                    end += len as u64;
                    let (position, bytes) = (record.position, &record.bytes);
                    self.writer.push(stream, position, len as u32, bytes, pace)?;
                }
                Some(Err(damage)) => {
                    let error = self.inputs_damaged(segment, place, damage);
                    return self.give_up(stream, segment, error);
                }
            }
        }
        if end != span.end() {
            let damage = Damage::Field { what: "bytes of data in the span", found: end };
            let error = self.inputs_damaged(segment, at, damage);
            return self.give_up(stream, segment, error);
        }
        Ok(())
    }

    /// A stream whose bytes cannot all be read stays where it is, so that nothing is lost that
    /// somebody could still save.
    fn give_up(
        &mut self,
        stream: StreamId,
        segment: SegmentRef,
        error: SealError,
    ) -> Result<(), SealError> {
        self.writer.abandon(stream);
        self.abandoned = Some(stream);
        let source = Box::new(error);
        self.unreadable.push(SealError::Unreadable { stream, segment, source });
        Ok(())
    }

    fn inputs_damaged(&self, segment: SegmentRef, offset: u64, damage: Damage) -> SealError {
        let path = self.inputs.iter().find(|source| source.segment == segment);
        let path = path.map(|source| source.path.clone()).unwrap_or_default();
        SealError::Damaged { segment, path, offset, damage }
    }
}
