//! Deciding a PUT (sections 4.2 and 5.1).

use super::append::payload_of;
use super::config::{Expiry, ForkOrigin, StreamConfig};
use super::fork::ForkPoint;
use super::record::{Record, StreamId};
use super::{Lifecycle, StreamState};
use crate::content_type::ContentType;
use crate::json::JsonError;
use crate::limits::MAX_FORK_DEPTH;
use crate::request::{CreateRequest, ForkRequest};
use crate::time::Timestamp;

/// Why a PUT is refused.
#[derive(Clone, PartialEq, Debug)]
pub enum CreateRefusal {
    /// 409: the path is blocked by a stream that forks still read.
    SoftDeleted,
    /// 409: another configuration; names the field that differs.
    Differs {
        /// The header or property.
        field: &'static str,
    },
    /// 409: a fork must have its source's content type.
    ForkContentType {
        /// The source's.
        source: ContentType,
        /// The request's.
        request: ContentType,
    },
    /// 409: the fork chain would be longer than [`MAX_FORK_DEPTH`].
    ForkTooDeep,
    /// 400.
    Json(JsonError),
}

/// Judges a PUT on a path where a stream exists: `Ok` when the configurations match.
pub fn confirm(existing: &StreamState, request: &CreateRequest) -> Result<(), CreateRefusal> {
    if existing.lifecycle == Lifecycle::SoftDeleted {
        return Err(CreateRefusal::SoftDeleted);
    }
    let config = &existing.config;
    let differs = |field| Err(CreateRefusal::Differs { field });
    let wanted_type = match (&request.content_type, &request.fork) {
        (Some(given), _) => given.clone(),
        (None, Some(_)) => config.content_type.clone(),
        (None, None) => ContentType::octet_stream(),
    };
    if wanted_type != config.content_type {
        return differs("Content-Type");
    }
    let inherited = config.fork.as_ref().is_some_and(|fork| fork.inherited_expiry);
    let wanted_expiry =
        if inherited && request.expiry == Expiry::Never { config.expiry } else { request.expiry };
    if wanted_expiry != config.expiry {
        return differs("Stream-TTL or Stream-Expires-At");
    }
    if request.retention.bytes != config.retention.bytes {
        return differs("Stream-Retention-Bytes");
    }
    if request.retention.seconds != config.retention.seconds {
        return differs("Stream-Retention-Seconds");
    }
    if request.close != existing.closed.is_some() {
        return differs("Stream-Closed");
    }
    match (&request.fork, &config.fork) {
        (None, None) => Ok(()),
        (Some(wanted), Some(fork)) => confirm_fork(wanted, fork),
        _ => differs("Stream-Forked-From"),
    }
}

fn confirm_fork(wanted: &ForkRequest, fork: &ForkOrigin) -> Result<(), CreateRefusal> {
    let differs = |field| Err(CreateRefusal::Differs { field });
    if wanted.source != fork.source {
        return differs("Stream-Forked-From");
    }
    if wanted.offset != fork.requested_offset {
        return differs("Stream-Fork-Offset");
    }
    if wanted.sub_offset != fork.sub_offset {
        return differs("Stream-Fork-Sub-Offset");
    }
    Ok(())
}

/// Decides a PUT on a free path. `fork` is the point that the source's owner resolved.
pub fn decide(
    request: &CreateRequest,
    fork: Option<ForkPoint>,
    id: StreamId,
    now: Timestamp,
) -> Result<Record, CreateRefusal> {
    let config = match (fork, &request.fork) {
        (Some(point), Some(wanted)) => fork_config(request, wanted, point)?,
        _ => StreamConfig {
            content_type: request.content_type.clone().unwrap_or_else(ContentType::octet_stream),
            expiry: request.expiry,
            retention: request.retention,
            fork: None,
        },
    };
    let payload = payload_of(&request.body, &config.content_type).map_err(CreateRefusal::Json)?;
    Ok(Record::Create {
        id,
        at: now,
        path: request.path.clone(),
        config,
        payload,
        close: request.close,
    })
}

fn fork_config(
    request: &CreateRequest,
    wanted: &ForkRequest,
    point: ForkPoint,
) -> Result<StreamConfig, CreateRefusal> {
    if let Some(given) = request.content_type.as_ref().filter(|given| **given != point.content_type)
    {
        return Err(CreateRefusal::ForkContentType {
            source: point.content_type,
            request: given.clone(),
        });
    }
    if point.lineage.len() >= MAX_FORK_DEPTH {
        return Err(CreateRefusal::ForkTooDeep);
    }
    let inherited_expiry = request.expiry == Expiry::Never;
    Ok(StreamConfig {
        content_type: point.content_type,
        expiry: if inherited_expiry { point.expiry } else { request.expiry },
        retention: request.retention,
        fork: Some(Box::new(ForkOrigin {
            source: wanted.source.clone(),
            source_id: point.source_id,
            requested_offset: wanted.offset,
            sub_offset: wanted.sub_offset,
            inherited_expiry,
            inherits_from: point.earliest,
            lineage: point.lineage,
        })),
    })
}
