//! Reading a sealed segment as a whole: for compaction, for recovery and for whoever verifies it.
//! Reads of streams do not come here: they know the place of their chunk.

use std::path::{Path, PathBuf};

use super::footer::{FOOTER_BYTES, Footer};
use super::header::{SEALED_HEADER_BYTES, SealedHeader};
use super::index::{IndexEntry, decode_index};
use super::source::Source;
use super::{Pace, SealError};
use crate::disk::Disk;
use crate::error::{Damage, IoContext, IoFailure};
use crate::location::SegmentRef;
use crate::record::SpanRecords;

/// A sealed segment with a good header and footer.
pub struct SealedFile {
    source: Source,
    footer: Footer,
}

impl SealedFile {
    /// Opens it and reads header and footer.
    pub fn open(
        disk: &dyn Disk,
        data_dir: &Path,
        segment: SegmentRef,
    ) -> Result<SealedFile, SealError> {
        let source = Source::open(disk, data_dir, segment)?;
        SealedFile::of(source, &mut |_| {})
    }

    pub(super) fn of(mut source: Source, pace: Pace<'_>) -> Result<SealedFile, SealError> {
        let footer_at = source.file_bytes.saturating_sub(FOOTER_BYTES as u64);
        let block = source.slice(footer_at, FOOTER_BYTES as u64, pace)?;
        let footer = Footer::decode(&block, source.file_bytes)
            .map_err(|damage| source.damaged(footer_at, damage))?;
        let block = source.slice(0, SEALED_HEADER_BYTES as u64, pace)?;
        let header = SealedHeader::decode(&block).map_err(|damage| source.damaged(0, damage))?;
        for (found, at) in [(header.segment, 0), (footer.segment, footer_at)] {
            if found != source.segment {
                let found = found.index().into();
                let what = "number of the sealed segment";
                return Err(source.damaged(at, Damage::Field { what, found }));
            }
        }
        Ok(SealedFile { source, footer })
    }

    pub(super) fn into_source(self) -> Source {
        self.source
    }

    /// What the file holds.
    #[must_use]
    pub fn footer(&self) -> &Footer {
        &self.footer
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &PathBuf {
        &self.source.path
    }

    /// Bytes of the file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.source.file_bytes
    }

    /// Reads the index.
    pub fn index(&mut self, pace: Pace<'_>) -> Result<Vec<IndexEntry>, SealError> {
        let Footer { index_at, index_crc: stored, .. } = self.footer;
        let bytes = self.source.slice(index_at, self.footer.index_bytes(), pace)?;
        let found = crc32c::crc32c(&bytes);
        if stored != found {
            let damage = Damage::Checksum { what: "index of the sealed segment", stored, found };
            return Err(self.source.damaged(index_at, damage));
        }
        decode_index(&bytes, index_at).map_err(|damage| self.source.damaged(index_at, damage))
    }

    /// Reads everything: `each` gets every entry of the index, with what is wrong with its
    /// records. What is wrong with the index itself ends the walk.
    pub fn verify(
        &mut self,
        each: &mut dyn FnMut(&IndexEntry, Result<(), SealError>),
    ) -> Result<(), SealError> {
        let entries = self.index(&mut |_| {})?;
        for entry in &entries {
            let checked = self.check(entry);
            each(entry, checked);
        }
        let sum = |of: fn(&IndexEntry) -> u32| entries.iter().map(|e| u64::from(of(e))).sum();
        let (records, data_bytes): (u64, u64) = (sum(|e| e.records), sum(|e| e.len));
        let wrong = match () {
            () if records != self.footer.records => Some(("number of records", records)),
            () if data_bytes != self.footer.data_bytes => Some(("bytes of data", data_bytes)),
            () => None,
        };
        match wrong {
            None => Ok(()),
            Some((what, found)) => {
                Err(self.source.damaged(self.footer.index_at, Damage::Field { what, found }))
            }
        }
    }

    /// Reads the records of one chunk.
    fn check(&mut self, entry: &IndexEntry) -> Result<(), SealError> {
        let at = u64::from(entry.file_offset);
        let bytes = self.source.slice(at, entry.record_bytes.into(), &mut |_| {})?;
        let mut records = SpanRecords::new(bytes, entry.stream, entry.position);
        let (mut count, mut len) = (0, 0);
        loop {
            let place = at + records.at() as u64;
            match records.next() {
                None => break,
                Some(Ok(record)) => {
                    count += 1;
                    len += record.payload.bytes.len() as u64;
                }
                Some(Err(damage)) => return Err(self.source.damaged(place, damage)),
            }
        }
        if count != entry.records || len != u64::from(entry.len) {
            let damage = Damage::Field { what: "records of the chunk", found: count.into() };
            return Err(self.source.damaged(at, damage));
        }
        Ok(())
    }
}

/// The footer of a sealed segment, if it is good: recovery goes on without.
pub(crate) fn read_footer(
    disk: &dyn Disk,
    path: &Path,
    segment: SegmentRef,
) -> Result<Option<Footer>, IoFailure> {
    let file = disk.open(path).context("open", path)?;
    let file_bytes = file.len().context("measure", path)?;
    let Some(at) = file_bytes.checked_sub(FOOTER_BYTES as u64) else { return Ok(None) };
    let mut block = vec![0; FOOTER_BYTES];
    file.read_at(&mut block, at).context("read", path)?;
    let footer = Footer::decode(&block, file_bytes).ok();
    Ok(footer.filter(|footer| footer.segment == segment))
}
