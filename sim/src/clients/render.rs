//! Calls as HTTP requests: they pass through the server's own parser.

use bytes::Bytes;
use thalweg_proto::http1::RequestHead;
use thalweg_proto::offset::Offset;

use super::call::{head_of, sized};
use super::{Call, Purpose};
use crate::model::Model;

const BASE: &str = "/v1/stream/";

/// The head and the body of a call.
pub(crate) fn render(model: &Model, call: &Call) -> (RequestHead, Bytes) {
    let state = &model.paths[call.path];
    let target = format!("{BASE}{}", state.name());
    let content_type = if state.json { "application/json" } else { "application/octet-stream" };
    let mut fields: Vec<(&'static str, String)> = Vec::new();
    match &call.purpose {
        Purpose::Create => {
            fields.push(("Content-Type", content_type.to_owned()));
            create_fields(model, call, &mut fields);
            let body = state.wish.as_ref().and_then(|wish| wish.body);
            let body = body.map_or("", |number| &model.appends[number].body);
            let body = sized(&mut fields, body);
            (head_of("PUT", &target, &fields), body)
        }
        Purpose::Append { number, producer, conditional, closes, .. } => {
            fields.push(("Content-Type", content_type.to_owned()));
            if let Some(producer) = producer {
                fields.push(("Producer-Id", format!("client-{}", call.client)));
                fields.push(("Producer-Epoch", producer.epoch.to_string()));
                fields.push(("Producer-Seq", producer.seq.to_string()));
            }
            if let Some((epoch, position)) = call.floor.filter(|_| *conditional) {
                let expected = Offset { epoch, position };
                fields.push(("Stream-Expected-Offset", expected.to_string()));
            }
            if *closes {
                fields.push(("Stream-Closed", "true".to_owned()));
            }
            let body = sized(&mut fields, &model.appends[*number].body);
            (head_of("POST", &target, &fields), body)
        }
        Purpose::Close => {
            fields.push(("Stream-Closed", "true".to_owned()));
            let body = sized(&mut fields, "");
            (head_of("POST", &target, &fields), body)
        }
        Purpose::Delete => (head_of("DELETE", &target, &[]), Bytes::new()),
        Purpose::Look => (head_of("HEAD", &target, &[]), Bytes::new()),
        Purpose::Read { from, .. } => {
            let offset = from.map_or_else(|| "-1".to_owned(), |from| from.to_string());
            (head_of("GET", &format!("{target}?offset={offset}"), &[]), Bytes::new())
        }
    }
}

fn create_fields(model: &Model, call: &Call, fields: &mut Vec<(&'static str, String)>) {
    let Some(wish) = &model.paths[call.path].wish else { return };
    if let (Some((epoch, position)), Some(source)) = (wish.fork, wish.source) {
        let source = format!("{BASE}{}", model.paths[source].name());
        fields.push(("Stream-Forked-From", source));
        fields.push(("Stream-Fork-Offset", Offset { epoch, position }.to_string()));
    } else if let Some(ttl) = wish.ttl {
        fields.push(("Stream-TTL", ttl.to_string()));
    }
    for (name, limit) in [
        ("Stream-Retention-Bytes", wish.keep_bytes),
        ("Stream-Retention-Seconds", wish.keep_seconds),
    ] {
        fields.extend(limit.map(|limit| (name, limit.to_string())));
    }
}
