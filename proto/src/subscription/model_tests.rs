//! Random operations against what must always hold: generations and cursors only grow, no two
//! holders, nothing pending is forgotten, and a crash loses nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::test_world::World;
use super::*;

const PATHS: [&str; 5] = ["events/a", "events/b", "events/deep/c", "manual/d", "wake/pool"];

#[derive(Clone, Debug)]
enum Step {
    Put { sub: u8, variant: u8 },
    Delete { sub: u8 },
    AddStream { sub: u8, path: u8 },
    RemoveStream { sub: u8, path: u8 },
    Append { path: u8 },
    DeleteStream { path: u8 },
    Claim { sub: u8 },
    Report { grant: u8, action: u8, ack: bool, done: bool },
    PollEffect,
    Result { effect: u8, success: Option<bool> },
    Pass { ms: u64 },
    Checkpoint,
    Crash,
}

struct Model {
    world: World,
    /// Everything that ever entitled a worker: subscription, wake id, generation, token.
    grants: Vec<(String, Value)>,
    effects: Vec<WakeRef>,
    generations: BTreeMap<Arc<str>, u64>,
    cursors: BTreeMap<(Arc<str>, StreamPath), Offset>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0..3u8, 0..4u8).prop_map(|(sub, variant)| Step::Put { sub, variant }),
        1 => (0..3u8).prop_map(|sub| Step::Delete { sub }),
        1 => (0..3u8, 0..5u8).prop_map(|(sub, path)| Step::AddStream { sub, path }),
        1 => (0..3u8, 0..5u8).prop_map(|(sub, path)| Step::RemoveStream { sub, path }),
        6 => (0..5u8).prop_map(|path| Step::Append { path }),
        1 => (0..5u8).prop_map(|path| Step::DeleteStream { path }),
        4 => (0..3u8).prop_map(|sub| Step::Claim { sub }),
        6 => (0..4u8, 0..3u8, any::<bool>(), any::<bool>()).prop_map(
            |(grant, action, ack, done)| Step::Report { grant, action, ack, done }
        ),
        5 => Just(Step::PollEffect),
        5 => (0..3u8, any::<Option<bool>>())
            .prop_map(|(effect, success)| Step::Result { effect, success }),
        4 => (0..2_500u64).prop_map(|ms| Step::Pass { ms }),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..120)
}

impl Model {
    fn new() -> Model {
        Model {
            world: World::new(),
            grants: Vec::new(),
            effects: Vec::new(),
            generations: BTreeMap::new(),
            cursors: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        let name = |sub: &u8| format!("s{sub}");
        let path = |at: &u8| PATHS[usize::from(*at)];
        match step {
            Step::Put { sub, variant } => {
                let body = match variant {
                    0 => json!({ "type": "webhook", "webhook": { "url": "https://x" },
                        "pattern": "events/**", "lease_ttl_ms": 1000 }),
                    1 => json!({ "type": "webhook", "webhook": { "url": "https://x" },
                        "pattern": "*/*", "streams": ["events/a"] }),
                    2 => json!({ "type": "pull-wake", "wake_stream": "wake/pool",
                        "pattern": "**", "lease_ttl_ms": 2000 }),
                    _ => json!({ "type": "pull-wake", "wake_stream": "wake/pool",
                        "streams": ["events/b", "manual/d"], "lease_ttl_ms": 1000 }),
                };
                self.request("PUT", &name(sub), "", body);
            }
            Step::Delete { sub } => {
                self.request("DELETE", &name(sub), "", Value::Null);
                self.cursors.retain(|(id, _), _| **id != *name(sub));
            }
            Step::AddStream { sub, path: at } => {
                self.request("POST", &name(sub), "/streams", json!({ "streams": [path(at)] }));
            }
            Step::RemoveStream { sub, path: at } => {
                self.request("DELETE", &name(sub), &format!("/streams/{}", path(at)), Value::Null);
            }
            Step::Append { path: at } => {
                self.world.append(path(at), 7);
            }
            Step::DeleteStream { path: at } => self.world.delete_stream(path(at)),
            Step::Claim { sub } => {
                let held =
                    self.world.subs.get(&name(sub)).is_some_and(|one| one.holder().is_some());
                let claimed = self.request("POST", &name(sub), "/claim", json!({ "worker": "w" }));
                if claimed["token"].is_string() {
                    assert!(!held, "two holders");
                    self.grants.push((name(sub), claimed));
                }
            }
            Step::Report { grant, action, ack, done } => self.report(*grant, *action, *ack, *done),
            Step::PollEffect => self.poll_effect(),
            Step::Result { effect, success } => {
                if let Some(at) = self.effects.len().checked_sub(1 + usize::from(*effect)) {
                    let wake = self.effects[at].clone();
                    self.world.result(&wake, *success);
                }
            }
            Step::Pass { ms } => self.world.pass(*ms),
            Step::Checkpoint => self.world.checkpoint(),
            Step::Crash => self.world.crash(),
        }
    }

    fn request(&mut self, method: &str, sub: &str, rest: &str, body: Value) -> Value {
        let answer = self.world.request(method, &format!("subscriptions/{sub}{rest}"), None, body);
        assert!(answer.status < 500, "{answer:?}");
        answer.body
    }

    fn report(&mut self, grant: u8, action: u8, ack: bool, done: bool) {
        let Some(at) = self.grants.len().checked_sub(1 + usize::from(grant)) else { return };
        let (sub, grant) = self.grants[at].clone();
        let acks: Vec<Value> = grant["streams"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|_| ack)
            .map(|item| json!({ "stream": item["path"], "offset": item["tail_offset"] }))
            .collect();
        let body = json!({ "wake_id": grant["wake_id"], "generation": grant["generation"],
            "acks": acks, "done": done });
        let action = ["ack", "callback", "release"][usize::from(action)];
        let token = grant["token"].as_str();
        self.world.request("POST", &format!("subscriptions/{sub}/{action}"), token, body);
    }

    fn poll_effect(&mut self) {
        match self.world.effect() {
            Some(Effect::Deliver { wake, body, .. }) => {
                let mut grant: Value = serde_json::from_slice(&body).unwrap();
                grant["token"] = grant["callback_token"].take();
                self.grants.push((wake.subscription.to_string(), grant));
                self.effects.push(wake);
            }
            Some(Effect::WriteWake { wake, .. }) => self.effects.push(wake),
            None => {}
        }
    }

    fn check(&mut self) {
        for id in self.world.subs.ids().cloned().collect::<Vec<_>>() {
            let one = self.world.subs.get(&id).unwrap();
            let generation = self.generations.entry(id.clone()).or_default();
            assert!(one.generation() >= *generation, "{id}: the generation went back");
            *generation = one.generation();
            assert!(one.wake.is_some() || !one.has_pending(), "{id}: pending and asleep");
            for (path, link) in &one.links {
                assert_eq!(link.is_pending(), one.pending.contains(path), "{id} {path}");
                assert!(link.tail >= link.acked);
                let cursor = self.cursors.entry((id.clone(), path.clone())).or_default();
                assert!(link.acked >= *cursor, "{id} {path}: the cursor went back");
                *cursor = link.acked;
            }
            let links = &one.links;
            self.cursors.retain(|(of, path), _| *of != id || links.contains_key(path));
            self.check_holders(&id);
        }
        let deadlines = self.world.subs.all.values().filter_map(Subscription::deadline);
        assert_eq!(self.world.subs.next_deadline(), deadlines.min());
    }

    /// At most one wake of everything that was ever given out still counts.
    fn check_holders(&mut self, id: &Arc<str>) {
        let mut accepted = Vec::new();
        for (sub, grant) in self.grants.iter().filter(|(sub, _)| **sub == **id) {
            let report = WakeReport {
                token: grant["token"].as_str().unwrap().into(),
                wake_id: grant["wake_id"].as_str().unwrap().into(),
                generation: grant["generation"].as_u64().unwrap(),
                acks: Vec::new(),
                done: false,
            };
            for operation in [Operation::Ack(report.clone()), Operation::Callback(report)] {
                if self.world.try_decide(&sub.as_str().into(), &operation).is_ok() {
                    accepted.push(grant["wake_id"].clone());
                }
            }
        }
        accepted.dedup();
        assert!(accepted.len() <= 1, "{id}: {accepted:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_always_holds(steps in steps()) {
        let mut model = Model::new();
        for step in &steps {
            model.step(step);
            model.check();
        }
        model.world.crash();
        model.check();
    }

    #[test]
    fn no_request_makes_it_panic(tail in "(subscriptions/)?[a-z/%.0-9]{0,20}", body in "\\PC*") {
        for method in ["GET", "PUT", "POST", "DELETE"] {
            let method = http::Method::from_bytes(method.as_bytes()).unwrap();
            let _ = SubscriptionRequest::parse(&method, &tail, Some("Bearer x"), body.as_bytes());
        }
    }
}
