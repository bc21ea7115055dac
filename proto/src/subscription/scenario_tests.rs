//! The stories of sections 6 and 7, told to a small server.
#![allow(clippy::needless_pass_by_value)] // JSON literals read better without `&`.

use serde_json::{Value, json};

use super::test_world::{Answer, SIGNER, World};
use super::*;

const ZERO: &str = "0000000000000000_0000000000000000";

fn webhook(world: &mut World, extra: Value) -> Answer {
    let mut body = json!({ "type": "webhook", "webhook": { "url": "https://x/h" },
        "pattern": "events/*", "lease_ttl_ms": 1000 });
    for (field, value) in extra.as_object().unwrap() {
        body[field] = value.clone();
    }
    world.request("PUT", "subscriptions/s", None, body)
}

fn pull(world: &mut World) -> Answer {
    let body = json!({ "type": "pull-wake", "wake_stream": "events/wake", "pattern": "events/*",
        "lease_ttl_ms": 1000 });
    world.request("PUT", "subscriptions/s", None, body)
}

fn deliver(world: &mut World) -> Option<(WakeRef, Value, u32)> {
    match world.effect()? {
        Effect::Deliver { wake, body, attempt, .. } => {
            Some((wake, serde_json::from_slice(&body).unwrap(), attempt))
        }
        Effect::WriteWake { .. } => panic!("a webhook subscription"),
    }
}

fn write_wake(world: &mut World) -> Option<(WakeRef, Value)> {
    match world.effect()? {
        Effect::WriteWake { wake, event, .. } => {
            Some((wake, serde_json::from_slice(&event).unwrap()))
        }
        Effect::Deliver { .. } => panic!("a pull-wake subscription"),
    }
}

fn report(world: &mut World, action: &str, wake: &Value, more: Value) -> Answer {
    let mut body = json!({ "wake_id": wake["wake_id"], "generation": wake["generation"] });
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    let token = wake["callback_token"].as_str().or(wake["token"].as_str()).unwrap();
    world.request("POST", &format!("subscriptions/s/{action}"), Some(token), body)
}

fn claim(world: &mut World, worker: &str) -> Answer {
    world.request("POST", "subscriptions/s/claim", None, json!({ "worker": worker }))
}

fn get(world: &mut World) -> Value {
    world.request("GET", "subscriptions/s", None, Value::Null).body
}

#[test]
fn create_confirm_conflict_delete() {
    let mut world = World::new();
    let tail = world.append("events/old", 10);
    let created = webhook(&mut world, json!({ "streams": ["manual/a"] }));
    assert_eq!(created.status, 201);
    let want = json!({
        "id": "s", "subscription_id": "s", "type": "webhook", "pattern": "events/*",
        "streams": [
            { "path": "events/old", "link_type": "glob", "acked_offset": tail.to_string() },
            { "path": "manual/a", "link_type": "explicit", "acked_offset": ZERO },
        ],
        "webhook": { "url": "https://x/h", "signing": { "alg": "ed25519", "kid": "ds_kid",
            "jwks_url": "http://host/v1/stream/__ds/jwks.json" } },
        "wake_stream": null, "lease_ttl_ms": 1000, "created_at": "1970-01-01T00:16:40.000Z",
        "status": "active", "description": null,
    });
    assert_eq!(created.body, want);
    assert!(world.effect().is_none(), "history is not replayed");
    assert_eq!(webhook(&mut world, json!({ "streams": ["manual/a", "manual/a"] })).status, 200);
    let conflict = webhook(&mut world, json!({ "streams": ["manual/b"] }));
    assert_eq!(
        (conflict.status, &conflict.body["error"]["code"]),
        (409, &json!("CONFIG_CONFLICT"))
    );
    for _ in 0..2 {
        assert_eq!(world.request("DELETE", "subscriptions/s", None, Value::Null).status, 204);
    }
    assert_eq!(get(&mut world)["error"]["code"], "SUBSCRIPTION_NOT_FOUND");
}

#[test]
fn membership() {
    let mut world = World::new();
    webhook(&mut world, json!({}));
    let tail = world.append("manual/b", 3);
    let add = json!({ "streams": ["manual/b", "events/x"] });
    assert_eq!(world.request("POST", "subscriptions/s/streams", None, add).status, 204);
    let links = |world: &mut World| -> Vec<(String, String)> {
        let body = get(world);
        let link = |item: &Value| {
            let text = |field: &str| item[field].as_str().unwrap().to_owned();
            (text("path"), format!("{} {}", text("link_type"), text("acked_offset")))
        };
        body["streams"].as_array().unwrap().iter().map(link).collect()
    };
    let explicit = |offset: &str| format!("explicit {offset}");
    let manual = ("manual/b".to_owned(), explicit(&tail.to_string()));
    assert_eq!(links(&mut world), [("events/x".to_owned(), explicit(ZERO)), manual]);
    for path in ["manual%2Fb", "events%2Fx", "absent"] {
        let tail = format!("subscriptions/s/streams/{path}");
        assert_eq!(world.request("DELETE", &tail, None, Value::Null).status, 204);
    }
    assert_eq!(links(&mut world), [("events/x".to_owned(), format!("glob {ZERO}"))]);
}

#[test]
fn webhook_done_acks_the_snapshot_only() {
    let mut world = World::new();
    webhook(&mut world, json!({}));
    let first = world.append("events/a", 5);
    let (wake, body, attempt) = deliver(&mut world).unwrap();
    assert_eq!(attempt, 1);
    assert_eq!(body["callback_url"], "http://host/v1/stream/__ds/subscriptions/s/callback");
    assert_eq!(
        body["streams"],
        json!([{ "path": "events/a", "link_type": "glob", "acked_offset": ZERO,
            "tail_offset": first.to_string(), "has_pending": true }])
    );
    assert!(world.effect().is_none(), "one wake at a time");
    world.append("events/a", 5);
    assert!(world.effect().is_none(), "one wake at a time");
    world.result(&wake, Some(true));
    assert_eq!(get(&mut world)["streams"][0]["acked_offset"], first.to_string());
    let (next, body, _) = deliver(&mut world).unwrap();
    assert_eq!((next.generation, &body["generation"]), (2, &json!(2)));
    world.result(&wake, Some(true));
    world.result(&next, Some(true));
    world.pass(100_000);
    assert!(world.effect().is_none(), "nothing is pending");
}

#[test]
fn webhook_callback_acks_and_fences() {
    let mut world = World::new();
    webhook(&mut world, json!({}));
    let tail = world.append("events/a", 5);
    let (wake, body, _) = deliver(&mut world).unwrap();
    world.result(&wake, Some(false));
    let heartbeat = report(&mut world, "callback", &body, json!({}));
    assert_eq!(heartbeat.body, json!({ "ok": true, "next_wake": false }));
    world.pass(900);
    let ack = |offset: &str| json!({ "acks": [{ "stream": "events/a", "offset": offset }] });
    let mut done = ack(&tail.to_string());
    done["done"] = json!(true);
    let beyond = Offset { position: 6, ..tail }.to_string();
    let refused = report(&mut world, "callback", &body, ack(&beyond));
    assert_eq!((refused.status, &refused.body["error"]["code"]), (409, &json!("INVALID_OFFSET")));
    let other = json!({ "acks": [{ "stream": "events/b", "offset": ZERO }] });
    assert_eq!(report(&mut world, "callback", &body, other).status, 409);
    assert_eq!(report(&mut world, "callback", &body, ack(&tail.to_string())).status, 200);
    assert_eq!(report(&mut world, "callback", &body, ack(ZERO)).status, 200);
    assert_eq!(get(&mut world)["streams"][0]["acked_offset"], tail.to_string());
    let finished = report(&mut world, "callback", &body, done.clone());
    assert_eq!(finished.body, json!({ "ok": true, "next_wake": false }));
    let stale = report(&mut world, "callback", &body, done);
    assert_eq!((stale.status, &stale.body["error"]["code"]), (409, &json!("FENCED")));
    let wrong = report(&mut world, "ack", &body, json!({}));
    assert_eq!(wrong.body["error"]["code"], "INVALID_REQUEST");
}

#[test]
fn webhook_retries_keep_the_wake_and_survive_a_restart() {
    let mut world = World::new();
    webhook(&mut world, json!({}));
    world.append("events/a", 5);
    let (wake, body, _) = deliver(&mut world).unwrap();
    world.result(&wake, None);
    assert_eq!(get(&mut world)["status"], "failed");
    let due = world.subs.next_deadline().unwrap();
    world.crash();
    assert_eq!(world.subs.next_deadline(), Some(due), "the schedule is kept");
    world.pass(999);
    assert!(deliver(&mut world).is_none());
    world.pass(201);
    let (again, second, attempt) = deliver(&mut world).unwrap();
    assert_eq!((&again, attempt), (&wake, 2));
    assert_eq!(second["wake_id"], body["wake_id"]);
    world.crash();
    assert_eq!(deliver(&mut world).unwrap().0, wake, "no result was recorded");
    world.result(&wake, Some(false));
    assert_eq!(get(&mut world)["status"], "active");
    world.pass(1000);
    assert_eq!(deliver(&mut world).unwrap().0.generation, 2, "the lease expired");
}

#[test]
fn a_webhook_that_hangs_is_called_less_and_less() {
    let mut world = World::new();
    webhook(&mut world, json!({}));
    world.append("events/a", 5);
    let mut calls = 0;
    for _ in 0..600 {
        calls += u32::from(deliver(&mut world).is_some());
        world.pass(500);
    }
    assert!((7..=12).contains(&calls), "{calls} calls in 300 s");
}

#[test]
fn deliveries_that_wait_for_room_keep_their_wake() {
    let mut world = World::new();
    webhook(&mut world, json!({}));
    world.append("events/a", 5);
    world.pass(10_000);
    let (wake, _, attempt) = deliver(&mut world).unwrap();
    assert_eq!((wake.generation, attempt), (1, 1));
}

#[test]
fn pull_wake_claim_ack_release() {
    let mut world = World::new();
    world.append("events/wake", 1);
    pull(&mut world);
    assert_eq!(claim(&mut world, "w").body["error"]["code"], "NO_PENDING_WORK");
    let tail = world.append("events/a", 5);
    let (wake, event) = write_wake(&mut world).unwrap();
    let want = json!({ "type": "wake", "subscription_id": "s", "stream": "events/a",
        "generation": 1, "ts": 1_000_000 });
    assert_eq!(event, want);
    world.append("events/wake", 80);
    world.result(&wake, Some(false));
    let claimed = claim(&mut world, "w1");
    assert_eq!((claimed.status, &claimed.body["generation"]), (200, &json!(1)));
    assert_eq!(claimed.body["streams"][0]["tail_offset"], tail.to_string());
    let busy = claim(&mut world, "w2");
    assert_eq!(busy.status, 409);
    assert_eq!(busy.body["error"]["current_holder"], "w1");
    assert_eq!(busy.body["error"]["generation"], 1);
    let ack =
        json!({ "acks": [{ "stream": "events/a", "offset": tail.to_string() }], "done": true });
    let acked = report(&mut world, "ack", &claimed.body, ack);
    assert_eq!(acked.body, json!({ "ok": true, "next_wake": false }));

    world.append("events/a", 5);
    let second = claim(&mut world, "w1");
    assert_eq!(second.status, 200, "before the wake event is written");
    assert!(write_wake(&mut world).is_none(), "nobody needs it any more");
    assert_eq!(report(&mut world, "release", &second.body, json!({})).status, 204);
    assert_eq!(report(&mut world, "release", &second.body, json!({})).status, 409);
    assert_eq!(write_wake(&mut world).unwrap().0.generation, 3, "work is still pending");
}

#[test]
fn pull_wake_lease_expires() {
    let mut world = World::new();
    pull(&mut world);
    world.append("events/a", 5);
    let first = claim(&mut world, "w1");
    world.pass(900);
    assert_eq!(report(&mut world, "ack", &first.body, json!({})).status, 200);
    world.pass(900);
    world.crash();
    assert_eq!(claim(&mut world, "w2").status, 409, "the heartbeat prolonged the lease");
    world.pass(100);
    assert_eq!(report(&mut world, "ack", &first.body, json!({})).status, 409);
    assert_eq!(write_wake(&mut world).unwrap().0.generation, 2);
    assert_eq!(claim(&mut world, "w2").status, 200);
}

#[test]
fn a_claim_in_vain_does_not_lose_the_next_wake() {
    let mut world = World::new();
    pull(&mut world);
    world.append("events/a", 5);
    let (wake, _) = write_wake(&mut world).unwrap();
    world.result(&wake, Some(false));
    world.delete_stream("events/a");
    assert_eq!(claim(&mut world, "w").body["error"]["code"], "NO_PENDING_WORK");
    world.append("events/b", 5);
    assert_eq!(write_wake(&mut world).unwrap().0.generation, 2);
}

#[test]
fn deleted_subscriptions_leave_nothing_to_replay() {
    let mut world = World::new();
    pull(&mut world);
    world.append("events/a", 5);
    let old = claim(&mut world, "w").body;
    world.request("DELETE", "subscriptions/s", None, Value::Null);
    assert_eq!(report(&mut world, "ack", &old, json!({})).status, 404);
    world.crash();
    pull(&mut world);
    world.append("events/a", 5);
    let new = claim(&mut world, "w").body;
    assert_eq!(new["generation"], 2, "generations go on");
    assert_eq!(report(&mut world, "ack", &old, json!({})).status, 409);
    let mut mixed = new.clone();
    mixed["token"] = old["token"].clone();
    assert_eq!(report(&mut world, "ack", &mixed, json!({})).status, 409);
    mixed["token"] = json!("forged");
    assert_eq!(report(&mut world, "ack", &mixed, json!({})).status, 401);
    world.now = world.now.plus_ms(TOKEN_GRACE_MS + 2_000);
    assert_eq!(report(&mut world, "ack", &new, json!({})).body["error"]["code"], "TOKEN_EXPIRED");
}

#[test]
fn interest_follows_membership() {
    let mut world = World::new();
    assert!(world.subs.interest().is_empty());
    webhook(&mut world, json!({ "streams": ["manual/a"] }));
    let interest = world.subs.interest();
    assert_eq!(interest.revision(), world.subs.interest_revision());
    for (path, want) in [("events/x", true), ("manual/a", true), ("events/x/y", false)] {
        assert_eq!(interest.matches(&StreamPath::new(path).unwrap()), want, "{path}");
    }
    let before = world.subs.interest_revision();
    world.append("events/x", 1);
    assert_eq!(world.subs.interest_revision(), before, "discovered streams change nothing");
}

#[test]
fn a_wake_event_nobody_claimed_is_written_once() {
    let mut world = World::new();
    pull(&mut world);
    world.append("events/a", 5);
    let (wake, _) = write_wake(&mut world).unwrap();
    world.result(&wake, Some(false));
    world.append("events/a", 5);
    world.append("events/b", 5);
    assert!(write_wake(&mut world).is_none());
}

#[test]
fn an_expired_lease_counts_as_expired_before_the_tick() {
    let mut world = World::new();
    pull(&mut world);
    world.append("events/a", 5);
    let claimed = claim(&mut world, "w").body;
    world.now = world.now.plus_ms(1000);
    assert_eq!(report(&mut world, "ack", &claimed, json!({})).body["error"]["code"], "FENCED");
}

#[test]
fn a_token_of_another_wake_in_the_same_generation_is_fenced() {
    let mut world = World::new();
    pull(&mut world);
    world.append("events/a", 5);
    let mut claimed = claim(&mut world, "w").body;
    let claims = Claims { sub: "s".into(), generation: 1, wake_id: "w_0".into(), exp: u64::MAX };
    claimed["token"] = json!(claims.encode(&SIGNER));
    assert_eq!(report(&mut world, "ack", &claimed, json!({})).body["error"]["code"], "FENCED");
}

#[test]
fn a_wake_lost_between_two_records_is_found_again() {
    let mut world = World::new();
    pull(&mut world);
    let path = StreamPath::new("events/a").unwrap();
    let tail = Offset { epoch: 9, position: 5 };
    world.tails.insert(path.clone(), tail);
    let mut events = world.subs.stream_advanced(&path, tail, world.now, &mut || 4);
    assert_eq!(events.len(), 2, "linked and issued");
    events.truncate(1);
    world.commit(events);
    world.crash();
    assert_eq!(write_wake(&mut world).unwrap().0.generation, 1);
}

#[test]
fn an_empty_successor_is_not_pending() {
    let mut world = World::new();
    webhook(&mut world, json!({ "streams": ["events/a"] }));
    world.append("events/a", 5);
    let (wake, ..) = deliver(&mut world).unwrap();
    world.result(&wake, Some(true));
    world.delete_stream("events/a");
    world.append("events/a", 0);
    assert!(world.effect().is_none(), "there is nothing to read");
    world.append("events/a", 1);
    assert_eq!(deliver(&mut world).unwrap().0.generation, 2);
}
