//! How the shared types look inside the JSON of events and checkpoints: paths and offsets as
//! text, instants as milliseconds. Absent: the forms of the HTTP API (see `render`).

use std::sync::Arc;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::offset::Offset;
use crate::path::StreamPath;
use crate::time::Timestamp;

/// A place in a stream: an acked offset or a tail.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Position {
    /// The stream.
    #[serde(rename = "p", with = "path")]
    pub path: StreamPath,
    /// The place.
    #[serde(rename = "o", with = "offset")]
    pub offset: Offset,
}

pub(super) mod path {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        path: &StreamPath,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(path.as_str())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<StreamPath, D::Error> {
        let text = String::deserialize(from)?;
        StreamPath::new(&text).map_err(|error| D::Error::custom(format!("{text:?}: {error}")))
    }
}

pub(super) mod paths {
    use super::*;

    #[derive(Serialize, Deserialize)]
    #[serde(transparent)]
    struct Item(#[serde(with = "path")] StreamPath);

    pub(in super::super) fn serialize<S: Serializer>(
        paths: &[StreamPath],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(paths.iter().map(StreamPath::as_str))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<StreamPath>, D::Error> {
        let items = Vec::<Item>::deserialize(from)?;
        Ok(items.into_iter().map(|item| item.0).collect())
    }
}

pub(super) mod offset {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        offset: &Offset,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(offset)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Offset, D::Error> {
        let text = String::deserialize(from)?;
        Offset::parse(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is not an offset")))
    }
}

pub(super) mod timestamp {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        at: &Timestamp,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_u64(at.0)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Timestamp, D::Error> {
        u64::deserialize(from).map(Timestamp)
    }
}

pub(super) mod maybe_timestamp {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        at: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        at.map(|at| at.0).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Timestamp))
    }
}

/// Shared text. (serde's own support for `Arc` is a feature that nothing else here needs.)
pub(super) mod name {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        name: &Arc<str>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(name)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<str>, D::Error> {
        String::deserialize(from).map(Arc::from)
    }
}

pub(super) mod maybe_name {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        name: &Option<Arc<str>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        name.as_deref().serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Arc<str>>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(Arc::from))
    }
}
