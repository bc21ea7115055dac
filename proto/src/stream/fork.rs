//! Where a fork branches off (section 4.2): decided by the source's owner.

use std::ops::Range;

use super::config::{Expiry, Inherited};
use super::record::StreamId;
use super::{Lifecycle, OffsetError, StreamState};
use crate::content_type::{ContentType, Framing};
use crate::json;
use crate::request::ForkRequest;

/// The source's answer: all that the fork's owner needs to create the fork.
#[derive(Clone, PartialEq, Debug)]
pub struct ForkPoint {
    /// The source's incarnation.
    pub source_id: StreamId,
    /// The source's content type.
    pub content_type: ContentType,
    /// The source's expiry, inherited when the fork asks for none.
    pub expiry: Expiry,
    /// The first position that the source still has.
    pub earliest: u64,
    /// Who wrote the inherited bytes; see `ForkOrigin::lineage`.
    pub lineage: Vec<Inherited>,
}

/// Why a stream cannot be forked as asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ForkRefusal {
    /// 404.
    SourceNotFound,
    /// 409.
    SourceSoftDeleted,
    /// 400.
    Offset(OffsetError),
    /// 400: a JSON stream can only be forked between messages.
    OffsetInsideMessage,
    /// 500: the source's data cannot be read.
    SourceUnreadable,
    /// 400: the sub-offset names a position past the next data boundary.
    SubOffsetOvershoots,
}

/// The position that `Stream-Fork-Offset` names, given what can be read of the source.
pub fn anchor(
    source: &StreamState,
    wanted: &ForkRequest,
    readable: Range<u64>,
) -> Result<u64, ForkRefusal> {
    if source.lifecycle == Lifecycle::SoftDeleted {
        return Err(ForkRefusal::SourceSoftDeleted);
    }
    match wanted.offset {
        None => Ok(readable.end),
        Some(offset) => source.position_of(offset, readable).map_err(ForkRefusal::Offset),
    }
}

/// The fork point for a sub-offset: `next` is the stored data from the anchor to the next data
/// boundary, that is, the rest of the append that the anchor lies at or in.
pub fn sub_position(
    anchor: u64,
    sub_offset: u64,
    content_type: &ContentType,
    next: &[u8],
) -> Result<u64, ForkRefusal> {
    let skipped = match content_type.framing() {
        Framing::Json => json::skip_messages(next, sub_offset).map(|len| len as u64),
        Framing::Text | Framing::Binary => {
            Some(sub_offset).filter(|offset| *offset <= next.len() as u64)
        }
    };
    skipped.map(|len| anchor + len).ok_or(ForkRefusal::SubOffsetOvershoots)
}

/// The answer for a fork point at `position`, of a source that can be read from `earliest` on.
#[must_use]
pub fn point_at(source: &StreamState, position: u64, earliest: u64) -> ForkPoint {
    let inherited = source.config.lineage();
    let mut lineage: Vec<Inherited> =
        inherited.iter().take_while(|run| run.end < position).cloned().collect();
    let cut = inherited.get(lineage.len()).map(|run| (run.path.clone(), run.id));
    let (path, id) = cut.unwrap_or_else(|| (source.path.clone(), source.id));
    lineage.push(Inherited { path, id, end: position });
    ForkPoint {
        source_id: source.id,
        content_type: source.config.content_type.clone(),
        expiry: source.config.expiry,
        earliest,
        lineage,
    }
}
