//! Requests under `__ds/`, on the home core.

use std::rc::Rc;
use std::sync::Arc;

use thalweg_proto::answer::overloaded;
use thalweg_proto::offset::Offset;
use thalweg_proto::path::StreamPath;
use thalweg_proto::request::ControlRequest;
use thalweg_proto::response::Response;
use thalweg_proto::subscription::{Context, Operation, Refusal, SubscriptionRequest};

use super::actor::{commit, tick};
use super::json_response;
use super::scan::{Wanted, scan};
use crate::control::ssrf::{Rejection, Verdict, check_text};
use crate::core::Core;
use crate::local::oneshot;
use crate::mailbox::message::Answer;
use crate::rt;
use crate::shard::ReplyTo;

/// How soon a request that came too early is looked at again.
const READY_PAUSE: std::time::Duration = std::time::Duration::from_millis(5);

pub(super) async fn handle(core: &Rc<Core>, request: ControlRequest, to: ReplyTo) {
    let ControlRequest { method, tail, authorization, public_base, body } = request;
    let parsed = SubscriptionRequest::parse(&method, &tail, authorization.as_deref(), &body);
    let response = match parsed {
        Err(refusal) => refused(&refusal),
        Ok(SubscriptionRequest::Jwks) => jwks(core),
        Ok(request) => match prepare(core, &request).await {
            Err(response) => *response,
            Ok(tails) => {
                let SubscriptionRequest::On { id, operation } = request else { return };
                return decide(core, &id, &operation, &tails, &public_base, to);
            }
        },
    };
    core.post_reply(to, Answer::Response(Box::new(response)));
}

/// What must be known before a decision: that the webhook may be called, and where streams end.
async fn prepare(
    core: &Rc<Core>,
    request: &SubscriptionRequest,
) -> Result<Vec<(StreamPath, Offset)>, Box<Response>> {
    // Only for a moment after the start.
    while core.with_subscriptions(|actor| actor.ready) == Some(false) {
        rt::sleep(READY_PAUSE).await;
    }
    if let SubscriptionRequest::On { id, operation: Operation::Put(config) } = request
        && let Some(url) = config.webhook_url()
        && core.with_subscriptions(|actor| actor.state.get(id).is_none()) == Some(true)
    {
        check_url(core, url).await?;
    }
    let Some((glob, paths)) = request.wanted_tails() else { return Ok(Vec::new()) };
    Ok(scan(core, Wanted::Request(glob.cloned(), paths.to_vec())).await)
}

async fn check_url(core: &Rc<Core>, url: &str) -> Result<(), Box<Response>> {
    let rejected =
        |why: Rejection| Box::new(refused(&Refusal::WebhookUrlRejected(why.to_string().into())));
    match check_text(url) {
        Verdict::Accept => Ok(()),
        Verdict::Reject(why) => Err(rejected(why)),
        Verdict::NeedsDns => {
            let (sender, receiver) = oneshot();
            let begun = core.with_subscriptions(|actor| actor.check_url(url, sender));
            let verdict = if begun == Some(true) { receiver.recv().await } else { None };
            match verdict {
                Some(verdict) => verdict.map_err(rejected),
                None => Err(Box::new(overloaded().into_response())),
            }
        }
    }
}

fn decide(
    core: &Rc<Core>,
    id: &Arc<str>,
    operation: &Operation,
    tails: &[(StreamPath, Offset)],
    base_url: &str,
    to: ReplyTo,
) {
    // No expired lease may be taken for a held one.
    tick(core);
    let now = core.clock.now();
    let mut entropy = || core.random();
    let decided = core.with_subscriptions(|actor| {
        let signer = &actor.control.keys.tokens;
        let mut context = Context { now, entropy: &mut entropy, signer, base_url, tails };
        actor.state.decide(id, operation, &mut context)
    });
    let response = match decided {
        None => return,
        Some(Err(refusal)) => refused(&refusal),
        Some(Ok(decision)) => {
            commit(core, &decision.events);
            let reply = core.with_subscriptions(|actor| {
                actor.state.render(id, &decision.outcome, actor.control.keys.webhook.kid())
            });
            let Some(reply) = reply else { return };
            json_response(reply.status, reply.body)
        }
    };
    // Refusals, too, may rest on events that are not durable yet.
    let lsn = core.with_subscriptions(|actor| actor.last_lsn).unwrap_or_default();
    core.with_shard(|shard, _| shard.respond_after(lsn, to, response));
}

fn refused(refusal: &Refusal) -> Response {
    let reply = refusal.reply();
    json_response(reply.status, reply.body).with_some("allow", refusal.allow())
}

fn jwks(core: &Rc<Core>) -> Response {
    let keys = core.with_subscriptions(|actor| actor.control.keys.webhook.jwks());
    Response::new(http::StatusCode::OK)
        .with("cache-control", "public, max-age=300")
        .with_body("application/jwk-set+json", keys.unwrap_or_default())
}
