//! Sizes of messages.
//!
//! Invariant: a distribution has values, and none above the limit of a message.
//!
//! Deliberately absent: drawing from it.

use super::kinds::Bytes;
use super::leaf::Either;
use super::raw::{RawSize, RawWeight};
use super::read::Reader;
use super::steps::exactly_one;
use crate::plan::element::Element;
use crate::plan::{PlanError, Size, limits, units};

/// The field `size` of an operation.
pub(super) fn size(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &Either<Bytes, RawSize>,
) -> Result<Size, PlanError> {
    let at = at.key("size");
    match raw {
        Either::Leaf(leaf) => bounded(&at, r.leaf(&at, leaf)?).map(Size::Constant),
        Either::Table(raw) => distribution(r, &at, raw),
    }
}

fn distribution(r: &Reader<'_>, at: &Element<'_>, raw: &RawSize) -> Result<Size, PlanError> {
    let log_normal = raw.median.is_some() || raw.p99.is_some();
    let forms = [
        ("min and max", raw.min.is_some() || (raw.max.is_some() && !log_normal)),
        ("median and p99", log_normal),
        ("weighted", raw.weighted.is_some()),
    ];
    exactly_one(at, &forms)?;
    if let Some(raw) = &raw.weighted {
        return weighted(r, at, raw);
    }
    if log_normal {
        let (median, p99) = (need(r, at, "median", &raw.median)?, need(r, at, "p99", &raw.p99)?);
        if median == 0 || median > p99 {
            let expected = format!("1 to the p99, {p99}");
            return Err(at.key("median").value(median, expected));
        }
        let default = p99.saturating_mul(10).min(limits::MAX_PAYLOAD_BYTES);
        let max = get(r, at, "max", &raw.max)?.unwrap_or(default);
        if max < p99 {
            return Err(at.key("max").value(max, format!("the p99, {p99}, or more")));
        }
        return Ok(Size::LogNormal { median, p99, max });
    }
    let (min, max) = (need(r, at, "min", &raw.min)?, need(r, at, "max", &raw.max)?);
    if min > max {
        return Err(at.key("max").value(max, format!("min, {min}, or more")));
    }
    Ok(Size::Uniform(min, max))
}

fn weighted(r: &Reader<'_>, at: &Element<'_>, raw: &[RawWeight]) -> Result<Size, PlanError> {
    let at = at.key("weighted");
    if raw.is_empty() {
        return Err(at.missing("at least one { size, weight }"));
    }
    at.at_most("sizes", raw.len(), limits::MAX_WEIGHTED_SIZES)?;
    let one = |(index, raw): (usize, &RawWeight)| {
        let at = at.index(index);
        Ok((need(r, &at, "size", &raw.size)?, r.need(&at, "weight", &raw.weight)?))
    };
    raw.iter().enumerate().map(one).collect::<Result<_, _>>().map(Size::Weighted)
}

fn need(
    r: &Reader<'_>,
    at: &Element<'_>,
    name: &str,
    field: &Option<Bytes>,
) -> Result<u32, PlanError> {
    get(r, at, name, field)?.ok_or_else(|| at.key(name).missing(units::BYTES))
}

fn get(
    r: &Reader<'_>,
    at: &Element<'_>,
    name: &str,
    field: &Option<Bytes>,
) -> Result<Option<u32>, PlanError> {
    r.get(at, name, field)?.map(|bytes| bounded(&at.key(name), bytes)).transpose()
}

fn bounded(at: &Element<'_>, bytes: u64) -> Result<u32, PlanError> {
    at.at_most("bytes", bytes, limits::MAX_PAYLOAD_BYTES)?;
    Ok(u32::try_from(bytes).unwrap_or(limits::MAX_PAYLOAD_BYTES))
}
