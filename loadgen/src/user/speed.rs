//! What the hot path costs. Run with optimisation:
//! `CARGO_PROFILE_DEV_OPT_LEVEL=3 cargo test -p thalweg-loadgen --lib speed -- --ignored --nocapture`

use std::hint::black_box;
use std::time::{Duration, Instant};

use rand::Rng as _;
use regex::Regex;
use serde_json_path::JsonPath;

use super::fixture::{User, head, template};
use super::{Answer, Checks, Compiled, CompiledCondition, Messages, compile, holds, render};
use crate::message::{Stamp, stamps};
use crate::plan::{
    Arrivals, Assertion, Choice, Condition, Operator, Pattern, Payload, Piece, RateStage, Size,
    Template, TextCheck, TextMatch,
};
use crate::schedule::{Chooser, OpenSchedule, iteration_rng, schedule_rng, user_rng};

fn measure<T>(what: &str, mut run: impl FnMut(u64) -> T) {
    const TIMES: u64 = 500_000;
    (0..1000).for_each(|index| drop(black_box(run(index))));
    let begin = Instant::now();
    (0..TIMES).for_each(|index| drop(black_box(run(index))));
    println!("{:8.1} ns  {what}", begin.elapsed().as_nanos() as f64 / TIMES as f64);
}

#[test]
#[ignore = "measures"]
fn schedules() {
    measure("iteration_rng and its first number", |index| {
        iteration_rng(1, 0, index).random::<u64>()
    });
    for arrivals in [Arrivals::Constant, Arrivals::Poisson] {
        let stage = RateStage { duration: Duration::from_secs(1000), from: 1.0, to: 1e5 };
        let mut schedule = OpenSchedule::new(&[stage], arrivals, schedule_rng(1, 0));
        measure(&format!("arrival, {arrivals:?}"), |_| schedule.next());
    }
    let choices = [
        Choice::Uniform,
        Choice::RoundRobin,
        Choice::Zipf { exponent: 0.99 },
        Choice::HotSpot { streams: 0.1, operations: 0.9 },
        Choice::PerUser,
    ];
    for choice in choices {
        let (mut chooser, mut rng) = (Chooser::new(&choice, 10_000), user_rng(1, 0, 0));
        measure(&format!("choose, {choice:?}"), |index| chooser.choose(&mut rng, index));
    }
}

#[test]
#[ignore = "measures"]
fn messages() {
    let mut user = User::new(&[("name", "value")]);
    let mut out = Vec::new();
    let mut stamped = Messages::new(&Payload::Stamped(Size::Uniform(100, 200)), &mut user.names);
    measure("stamped message of 100 to 200 bytes", |index| {
        out.clear();
        let stamp = Stamp { run: 1 << 60, source: 7, sequence: index as u32, intended_ns: index };
        stamped.write(stamp, &mut user.context(), &mut out);
    });
    let stamp = Stamp { run: 1 << 60, source: 7, sequence: 1 << 30, intended_ns: 1 << 60 };
    for size in [100, 1000] {
        let message = stamp.message(size);
        measure(&format!("stamps() of {size} bytes"), |_| stamps(&message).flatten().count());
    }
    let mut rendered = |what: &str, template: &Template| {
        let compiled: Compiled = compile(template, &mut user.names);
        measure(&format!("render, {what}"), |_| {
            out.clear();
            render(&compiled, &mut user.context(), &mut out);
        });
    };
    rendered("text and a variable", &template("{\"user\":\"${name}\",\"text\":\"some more\"}"));
    rendered("a random number", &Template(vec![Piece::Random(1, 1000)]));
    rendered("a UUID", &Template(vec![Piece::Uuid]));
    let (left, right) = (template("${name}"), template("value"));
    let condition = Condition { left, operator: Operator::Equal, right };
    let condition = CompiledCondition::new(&condition, &mut user.names);
    measure("condition on a variable", |_| holds(&condition, &mut user.context()));
}

#[test]
#[ignore = "measures"]
fn checks() {
    let head = head(200, "content-type: application/json\r\nstream-next-offset: 17\r\n");
    let body = format!("{{\"a\": 1, \"text\": \"{}\"}}", "x".repeat(1000));
    let mut user = User::new(&[("name", "value")]);
    let mut checked = |what: &str, assertions: &[Assertion]| {
        let checks = Checks::new(assertions, &mut user.names);
        measure(&format!("check, {what}"), |_| {
            let answer = Answer::new(200, &head.fields, body.as_bytes(), 5);
            checks.check(&answer, &mut user.context()).is_ok()
        });
    };
    let text = |how, pattern| TextCheck { how, any_of: vec![pattern], not: false };
    let contains = text(TextMatch::Contains, Pattern::Text(template("xxx\"")));
    let find = text(TextMatch::Find, Pattern::Regex(Regex::new("x\"\\}$").unwrap()));
    let header = text(TextMatch::Equals, Pattern::Text(template("17")));
    let path = Box::new(JsonPath::parse("$.a").unwrap());
    checked("the status", &[]);
    let name = "Stream-Next-Offset".to_owned();
    checked("a header", &[Assertion::Header { name, text: header }]);
    checked("text in a body of 1 kB", &[Assertion::Body(contains)]);
    checked("an expression in a body of 1 kB", &[Assertion::Body(find)]);
    checked(
        "JSON of 1 kB",
        &[Assertion::JsonPath { path, equals: Some(template("1")), members: false, not: false }],
    );
}
