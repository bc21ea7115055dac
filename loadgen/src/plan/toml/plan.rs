//! The plan as a whole: its settings, variables, streams and data sets.
//!
//! Invariant: names of streams and groups are unique, so that steps and reports can use them.
//!
//! Deliberately absent: groups and steps, which have files of their own.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::checks::{headers, variable_name};
use super::groups::group;
use super::kinds::{SimpleChoice, Text};
use super::leaf::{Either, TemplateText};
use super::raw::{RawChoice, RawData, RawPlan, RawStreams};
use super::read::Reader;
use super::steps::exactly_one;
use crate::plan::data::{DataOptions, data_set};
use crate::plan::element::Element;
use crate::plan::properties::Properties;
use crate::plan::template::is_name;
use crate::plan::threshold::threshold;
use crate::plan::{
    Choice, DataSet, Piece, Plan, PlanError, StreamSet, Template, Threshold, Transport, http_names,
    limits,
};

/// A plan from its text's types. `stem` is its name if it gives itself none.
pub(super) fn plan(
    raw: &RawPlan,
    properties: &Properties<'_>,
    data: &BTreeMap<String, String>,
    stem: &str,
) -> Result<Plan, PlanError> {
    let at = &Element::ROOT;
    let mut r = Reader { properties, data, streams: Vec::new(), steps: Cell::new(0) };
    let target = r.need(at, "target", &raw.target)?;
    let target = http_names::base_url(&at.key("target"), &target)?;
    let transport = transport(&r, at, raw, &target)?;
    let streams = streams(&r, at, &raw.streams)?;
    r.streams = streams.iter().map(|set| set.name.clone()).collect();
    let bearer = raw.bearer.as_ref().map(|token| bearer(&r, at, token)).transpose()?;
    let fields = headers(&r, at, &raw.headers)?;
    let given = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    if let (Some((name, _)), Some(_)) = (given, &bearer) {
        return Err(at.key("headers").key(name).contradiction("`bearer` sets this field already"));
    }
    Ok(Plan {
        name: r.name(at, "name", &raw.name)?.unwrap_or_else(|| stem.to_owned()),
        seed: r.get(at, "seed", &raw.seed)?.unwrap_or(1),
        target,
        transport,
        warm_up: r.time(at, "warm_up", &raw.warm_up)?.unwrap_or_default(),
        drain: r.time(at, "drain", &raw.drain)?.unwrap_or(DEFAULT_DRAIN),
        connect_rate: r
            .rate(at, "connect_rate", &raw.connect_rate, false)?
            .unwrap_or(DEFAULT_CONNECT_RATE),
        timeout: r.some_time(at, "timeout", &raw.timeout)?.unwrap_or(DEFAULT_TIMEOUT),
        fields,
        bearer,
        variables: variables(&r, at, &raw.variables)?,
        streams,
        data: data_sets(&r, at, &raw.data)?,
        groups: groups(&r, at, raw)?,
        thresholds: thresholds(&r, at, raw)?,
    })
}

fn transport(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &RawPlan,
    target: &str,
) -> Result<Transport, PlanError> {
    let limit = ("readers", limits::MAX_READERS_PER_CONNECTION);
    let readers = r.count(at, "readers_per_connection", &raw.readers_per_connection, limit)?;
    let transport = Transport {
        http2: r.get(at, "http2", &raw.http2)?.unwrap_or(false),
        readers_per_connection: readers.unwrap_or(Transport::default().readers_per_connection),
        ca: r.get(at, "ca", &raw.ca)?.map(PathBuf::from),
        insecure_skip_verify: r
            .get(at, "insecure_skip_verify", &raw.insecure_skip_verify)?
            .unwrap_or(false),
    };
    if readers.is_some() && !transport.http2 {
        let at = at.key("readers_per_connection");
        return Err(at.contradiction("without `http2 = true` each reader has its own connection"));
    }
    transport.check(at, target)?;
    Ok(transport)
}

fn bearer(r: &Reader<'_>, at: &Element<'_>, raw: &TemplateText) -> Result<Template, PlanError> {
    let at = at.key("bearer");
    let token = r.template(&at, raw)?;
    http_names::field_value(&at, &token)?;
    if token.0.is_empty() {
        return Err(at.value("\"\"", "a token"));
    }
    Ok(token)
}

fn variables(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &BTreeMap<String, TemplateText>,
) -> Result<BTreeMap<String, Template>, PlanError> {
    let at = at.key("variables");
    at.at_most("variables", raw.len(), limits::MAX_VARIABLES)?;
    let variable = |(name, text): (&String, &TemplateText)| {
        let at = at.key(name);
        if !is_name(name) {
            return Err(at.contradiction(
                "not the name of a variable: expected none of $ { } ( ) , and no __ at its begin",
            ));
        }
        let template = match r.properties.value(name) {
            Some(given) => Template(vec![Piece::Text(given.to_owned())]),
            None => r.template(&at, text)?,
        };
        Ok((name.clone(), template))
    };
    raw.iter().map(variable).collect()
}

fn streams(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &[RawStreams],
) -> Result<Vec<StreamSet>, PlanError> {
    let at = at.key("streams");
    at.at_most("sets of streams", raw.len(), limits::MAX_STREAM_SETS)?;
    let mut out: Vec<StreamSet> = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        let at = at.index(index);
        let set = stream_set(r, &at, raw)?;
        if out.iter().any(|other| other.name == set.name) {
            let reason = format!("another set of streams is called {:?} too", set.name);
            return Err(at.key("name").contradiction(reason));
        }
        out.push(set);
    }
    Ok(out)
}

fn stream_set(r: &Reader<'_>, at: &Element<'_>, raw: &RawStreams) -> Result<StreamSet, PlanError> {
    let name = r.name(at, "name", &raw.name)?;
    let name = name.ok_or_else(|| at.key("name").missing("what steps call these streams"))?;
    let path = r.get(at, "path", &raw.path)?.unwrap_or_else(|| name.clone());
    http_names::stream_path(&at.key("path"), &path)?;
    let live_path = r.get(at, "live_path", &raw.live_path)?;
    let content_type = r.get(at, "content_type", &raw.content_type)?;
    let content_type = content_type.unwrap_or_else(|| "application/json".to_owned());
    if http::HeaderValue::from_str(&content_type).is_err() || !content_type.contains('/') {
        let at = at.key("content_type");
        return Err(at.value(format_args!("{content_type:?}"), "a type such as text/plain"));
    }
    let count = r.count(at, "count", &raw.count, ("streams", limits::MAX_STREAMS))?;
    if let Some(path) = &live_path {
        self::live_path(&at.key("live_path"), path, count.unwrap_or(1))?;
    }
    Ok(StreamSet {
        name,
        path,
        live_path,
        count: count.unwrap_or(1),
        choice: match &raw.choice {
            None => Choice::Uniform,
            Some(Either::Table(raw)) => weighted(r, &at.key("choice"), raw)?,
            Some(Either::Leaf(word)) => match r.leaf(&at.key("choice"), word)? {
                SimpleChoice::Uniform => Choice::Uniform,
                SimpleChoice::RoundRobin => Choice::RoundRobin,
                SimpleChoice::PerUser => Choice::PerUser,
            },
        },
        content_type,
        create: r.get(at, "create", &raw.create)?.unwrap_or(true),
        delete: r.get(at, "delete", &raw.delete)?.unwrap_or(false),
    })
}

/// As the path is; one stream's may have a query.
fn live_path(at: &Element<'_>, path: &str, count: u32) -> Result<(), PlanError> {
    let Some((before, _)) = path.split_once('?') else { return http_names::stream_path(at, path) };
    if count > 1 {
        let reason = "it has a query, and one of several streams is `<live_path>/<index>`";
        return Err(at.contradiction(reason));
    }
    http_names::stream_path(at, before)?;
    http_names::request_path(at, &Template(vec![Piece::Text(path.to_owned())]))
}

fn weighted(r: &Reader<'_>, at: &Element<'_>, raw: &RawChoice) -> Result<Choice, PlanError> {
    let hot = raw.hot_streams.is_some() || raw.hot_operations.is_some();
    let forms = [("zipf", raw.zipf.is_some()), ("hot_streams and hot_operations", hot)];
    exactly_one(at, &forms)?;
    if let Some(exponent) = r.get(at, "zipf", &raw.zipf)? {
        if exponent > MAX_EXPONENT {
            return Err(at.key("zipf").value(exponent, format!("at most {MAX_EXPONENT}")));
        }
        return Ok(Choice::Zipf { exponent });
    }
    Ok(Choice::HotSpot {
        streams: r.need(at, "hot_streams", &raw.hot_streams)?,
        operations: r.need(at, "hot_operations", &raw.hot_operations)?,
    })
}

fn data_sets(r: &Reader<'_>, at: &Element<'_>, raw: &[RawData]) -> Result<Vec<DataSet>, PlanError> {
    let at = at.key("data");
    at.at_most("data sets", raw.len(), limits::MAX_DATA_SETS)?;
    let one = |(index, raw): (usize, &RawData)| {
        let at = at.index(index);
        let file = r.need(&at, "file", &raw.file)?;
        let text = r.data.get(&file).ok_or_else(|| {
            let known = r.data.keys().map(String::as_str);
            at.key("file").undefined("data file", &file, known)
        })?;
        let names = at.key("variables");
        let variables = raw.variables.as_ref().map(|all| {
            all.iter()
                .enumerate()
                .map(|(index, name)| r.leaf(&names.index(index), name))
                .collect::<Result<Vec<_>, _>>()
        });
        let variables = variables.transpose()?;
        let skip = r.get(&at, "skip_first_row", &raw.skip_first_row)?;
        if skip.is_some() && variables.is_none() {
            return Err(at.key("skip_first_row").contradiction(
                "without `variables` the first row is the names, and no data anyway",
            ));
        }
        let options = DataOptions {
            file,
            variables,
            skip_first_row: skip.unwrap_or(false),
            delimiter: delimiter(r, &at, raw)?,
            recycle: r.get(&at, "recycle", &raw.recycle)?.unwrap_or(true),
        };
        let set = data_set(&at, options, text)?;
        set.variables.iter().try_for_each(|name| variable_name(r, &at, name))?;
        Ok(set)
    };
    raw.iter().enumerate().map(one).collect()
}

fn delimiter(r: &Reader<'_>, at: &Element<'_>, raw: &RawData) -> Result<u8, PlanError> {
    let Some(text) = r.get(at, "delimiter", &raw.delimiter)? else { return Ok(b',') };
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(*byte),
        _ => {
            let expected = "one character such as \",\", \";\" or \"\\t\"";
            Err(at.key("delimiter").value(format_args!("{text:?}"), expected))
        }
    }
}

fn groups(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &RawPlan,
) -> Result<Vec<crate::plan::Group>, PlanError> {
    let at = at.key("groups");
    if raw.groups.is_empty() {
        return Err(at.missing("at least one [[groups]]"));
    }
    at.at_most("groups", raw.groups.len(), limits::MAX_GROUPS)?;
    let mut out: Vec<crate::plan::Group> = Vec::with_capacity(raw.groups.len());
    for (index, raw) in raw.groups.iter().enumerate() {
        let at = at.index(index);
        let group = group(r, &at, index, raw)?;
        if out.iter().any(|other| other.name == group.name) {
            let reason = format!("another group is called {:?} too", group.name);
            return Err(at.key("name").contradiction(reason));
        }
        out.push(group);
    }
    Ok(out)
}

fn thresholds(
    r: &Reader<'_>,
    at: &Element<'_>,
    raw: &RawPlan,
) -> Result<Vec<Threshold>, PlanError> {
    let at = at.key("thresholds");
    at.at_most("thresholds", raw.thresholds.len(), limits::MAX_THRESHOLDS)?;
    let one = |(index, text): (usize, &Text)| {
        let at = at.index(index);
        threshold(&at, &r.leaf(&at, text)?)
    };
    raw.thresholds.iter().enumerate().map(one).collect()
}

const DEFAULT_DRAIN: Duration = Duration::from_secs(5);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const DEFAULT_CONNECT_RATE: f64 = 2000.0;
/// Steeper, and all but the first stream would never be chosen.
const MAX_EXPONENT: f64 = 20.0;
