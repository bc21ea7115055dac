//! Answers that need no waiting for news.

use std::rc::Rc;

use http::{Method, StatusCode};
use thalweg_proto::answer::page;
use thalweg_proto::cors;
use thalweg_proto::http1::RequestHead;
use thalweg_proto::offset::ReadFrom;
use thalweg_proto::path::StreamPath;
use thalweg_proto::request::{ListRequest, ReadRequest, Request};
use thalweg_proto::response::Response;

use crate::core::Core;
use crate::mailbox::message::{Answer, Listed, Op};
use crate::subscriptions;

/// Answers a request; `None` only while the server stops.
pub(super) async fn answer(
    core: &Rc<Core>,
    request: Request,
    head: &RequestHead,
) -> Option<Response> {
    match request {
        Request::Create(request) => {
            let path = request.path.clone();
            let location = location(core, head);
            whole(core.ask_owner(&path, Op::Create(request, Some(location))).await)
        }
        Request::Append(request) => {
            let path = request.path.clone();
            whole(core.ask_owner(&path, Op::Append(request)).await)
        }
        Request::Metadata { path } => {
            let owner = path.clone();
            whole(core.ask_owner(&owner, Op::Metadata(path)).await)
        }
        Request::Delete { path } => {
            let owner: StreamPath = path.clone();
            whole(core.ask_owner(&owner, Op::Delete(path)).await)
        }
        Request::Read(request) => catch_up(core, request).await,
        Request::Options => Some(cors::preflight()),
        Request::List(request) => Some(list(core, request, head.method == Method::HEAD).await),
        Request::Control(request) => subscriptions::answer(core, request).await,
    }
}

fn whole(answer: Option<Answer>) -> Option<Response> {
    match answer {
        Some(Answer::Response(response)) => Some(*response),
        _ => None,
    }
}

async fn catch_up(core: &Rc<Core>, mut request: ReadRequest) -> Option<Response> {
    let none_match = request.if_none_match.take();
    let from_now = request.from == ReadFrom::Now;
    let path = request.path.clone();
    match core.ask_owner(&path, Op::Read(request, None)).await {
        Some(Answer::Page(Ok(found))) => {
            let now = core.clock.now();
            Some(page(&found.facts, found.stored, none_match.as_deref(), from_now, None, now))
        }
        Some(Answer::Page(Err(problem))) => Some(problem.into_response()),
        _ => None,
    }
}

/// The URL of the request as the client addressed it.
fn location(core: &Core, head: &RequestHead) -> Box<str> {
    let origin = match (&core.config.public_url, head.host()) {
        (Some(url), _) => url.as_str().trim_end_matches('/').to_owned(),
        (None, Some(host)) => format!("{}://{host}", head.scheme()),
        (None, None) => String::new(),
    };
    format!("{origin}{}", head.path()).into()
}

/// Merges what every core has, in the order of paths.
async fn list(core: &Rc<Core>, request: ListRequest, head_only: bool) -> Response {
    let answers = core.ask_all(|| Op::List(request.clone())).await;
    let mut listed: Vec<Listed> = answers
        .into_iter()
        .filter_map(|answer| match answer {
            Answer::Listing(listed) => Some(listed),
            _ => None,
        })
        .flatten()
        .collect();
    listed.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let more = listed.len() > request.limit;
    listed.truncate(request.limit);
    let next = listed.last().filter(|_| more).map(|last| last.path.as_str());
    let next = serde_json::Value::from(next).to_string();
    let mut body = br#"{"streams":["#.to_vec();
    for (index, listed) in listed.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&listed.entry);
    }
    body.extend_from_slice(format!(r#"],"next_cursor":{next}}}"#).as_bytes());
    let response = Response::new(StatusCode::OK).with("cache-control", "no-store");
    if head_only {
        return response.with("content-type", "application/json");
    }
    response.with_body("application/json", body)
}
