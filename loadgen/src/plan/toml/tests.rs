//! Plans as data: what each text means, what is wrong with it, and the examples and the reference.

mod examples;
mod mistakes;

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use crate::plan::*;

/// A plan from its text and its properties, and a data file `u.csv`.
fn read_with(text: &str, properties: &[(&str, &str)]) -> Result<Plan, String> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let source = PlanSource {
        file: "p.toml".into(),
        format: PlanFormat::Toml,
        text: text.to_owned(),
        properties: properties.iter().map(own).collect(),
        data: BTreeMap::from([("u.csv".to_owned(), "id,word\n1,a\n2,b\n".to_owned())]),
        skip_unknown: false,
    };
    super::read(&source).map_err(|error| error.to_string())
}

fn read(text: &str) -> Plan {
    read_with(text, &[]).unwrap()
}

/// A plan with one set of streams, `s`, and one closed group that does this once.
fn with_step(step: &str) -> String {
    format!(
        "target = 'http://h/s'\n[[streams]]\nname = 's'\n[[groups]]\nusers = 1\nhold = '1s'\n\
         [[groups.steps]]\n{step}\n"
    )
}

/// A plan with one group that has these fields.
fn with_group(fields: &str) -> String {
    format!(
        "target = 'http://h/s'\n[[groups]]\nsteps = [{{ http = {{ path = 'x' }} }}]\n{fields}\n"
    )
}

fn step(text: &str) -> Step {
    read(&with_step(text)).groups[0].steps[0].clone()
}

fn sampler(text: &str) -> Sampler {
    match step(text) {
        Step::Sample(sampler) => *sampler,
        other => panic!("{text}: {other:?}"),
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn text(text: &str) -> Template {
    Template(vec![Piece::Text(text.to_owned())])
}

fn variable(name: &str) -> Template {
    Template(vec![Piece::Variable(name.to_owned())])
}

#[test]
fn defaults() {
    let plan = read(&with_step("append = {}"));
    let want = Plan {
        name: "p".into(),
        seed: 1,
        target: "http://h/s".into(),
        transport: crate::plan::Transport::default(),
        warm_up: secs(0),
        drain: secs(5),
        connect_rate: 2000.0,
        timeout: secs(30),
        fields: vec![],
        bearer: None,
        variables: BTreeMap::new(),
        streams: vec![StreamSet {
            name: "s".into(),
            path: "s".into(),
            live_path: None,
            count: 1,
            choice: Choice::Uniform,
            content_type: "application/json".into(),
            create: true,
            delete: false,
        }],
        data: vec![],
        groups: vec![Group {
            name: "group-1".into(),
            load: Load::Closed {
                stages: vec![
                    UserStage { duration: secs(0), users: 1 },
                    UserStage { duration: secs(1), users: 1 },
                ],
                iterations: None,
            },
            delay: secs(0),
            steps: vec![Step::Sample(Box::new(Sampler {
                label: "append".into(),
                kind: SamplerKind::Append {
                    streams: 0,
                    payload: Payload::Stamped(Size::Constant(100)),
                },
                fields: vec![],
                assertions: vec![],
                extractions: vec![],
            }))],
            on_error: OnError::Continue,
        }],
        thresholds: vec![],
    };
    assert_eq!(plan, want);
}

#[test]
fn loads() {
    let check = |fields: &str, want: Load| {
        assert_eq!(read(&with_group(fields)).groups[0].load, want, "{fields}");
    };
    let rate = |seconds, from, to| RateStage { duration: secs(seconds), from, to };
    let users = |seconds, users| UserStage { duration: secs(seconds), users };
    let open = |stages| Load::Open { stages, arrivals: Arrivals::Constant, max_in_flight: 10_000 };
    let closed = |stages| Load::Closed { stages, iterations: None };
    check("rate = 50\nduration = '60s'", open(vec![rate(60, 50.0, 50.0)]));
    check(
        "rate = '600/min'\nduration = '1m'\nramp_up = '5s'\nramp_down = '2s'",
        open(vec![rate(5, 0.0, 10.0), rate(60, 10.0, 10.0), rate(2, 10.0, 0.0)]),
    );
    check(
        "stages = [{ duration = '1s', from = 5, rate = 5 }, { duration = '2s', rate = 9.5 }]\n\
         arrivals = 'poisson'\nmax_in_flight = 7",
        Load::Open {
            stages: vec![rate(1, 5.0, 5.0), rate(2, 5.0, 9.5)],
            arrivals: Arrivals::Poisson,
            max_in_flight: 7,
        },
    );
    check("users = 3\nhold = '9s'", closed(vec![users(0, 3), users(9, 3)]));
    check(
        "users = 3\nhold = '9s'\nramp_up = '1s'\nramp_down = '2s'",
        closed(vec![users(1, 3), users(9, 3), users(2, 0)]),
    );
    check(
        "users = 3\niterations = 4",
        Load::Closed {
            stages: vec![users(0, 3), UserStage { duration: limits::MAX_DURATION, users: 3 }],
            iterations: Some(4),
        },
    );
    check(
        "stages = [{ duration = '0s', users = 5 }, { duration = '7s', users = 2 }]",
        closed(vec![users(0, 5), users(7, 2)]),
    );
}

#[test]
fn operations() {
    let check = |text: &str, want: SamplerKind| {
        let got = sampler(text);
        assert_eq!(got.kind, want, "{text}");
    };
    let stamped = |size| Payload::Stamped(size);
    let append = |payload| SamplerKind::Append { streams: 0, payload };
    check("append = { stream = 's', size = '4KiB' }", append(stamped(Size::Constant(4096))));
    check("append = { size = { min = 1, max = 2 } }", append(stamped(Size::Uniform(1, 2))));
    check(
        "append = { size = { median = 10, p99 = 99 } }",
        append(stamped(Size::LogNormal { median: 10, p99: 99, max: 990 })),
    );
    check(
        "append = { size = { weighted = [{ size = 1, weight = 2 }] } }",
        append(stamped(Size::Weighted(vec![(1, 2.0)]))),
    );
    check("append = { body = '[1]' }", append(Payload::Template(text("[1]"))));
    check(
        "append_batch = { messages = 3 }",
        SamplerKind::AppendBatch { streams: 0, payload: stamped(Size::Constant(100)), messages: 3 },
    );
    let payload = stamped(Size::Constant(5));
    check("producer_append = { size = 5 }", SamplerKind::ProducerAppend { streams: 0, payload });
    check("create = {}", SamplerKind::Create { streams: 0, body: None });
    let body = Some(stamped(Size::Constant(5)));
    check("create = { size = 5 }", SamplerKind::Create { streams: 0, body });
    check("close = {}", SamplerKind::Close { streams: 0 });
    check("head = {}", SamplerKind::Head { streams: 0 });
    check("delete = {}", SamplerKind::Delete { streams: 0 });
    check("fork = {}", SamplerKind::Fork { streams: 0 });
    let read = |from, max_pages| SamplerKind::Read { streams: 0, from, max_pages };
    check("read = {}", read(From::Beginning, None));
    check("read = { from = -1, max_pages = 2 }", read(From::Beginning, Some(2)));
    check("read = { from = 'now' }", read(From::Now, None));
    check("read = { from = '0_12' }", read(From::Offset(text("0_12")), None));
    check(
        "http = { method = 'PUT', path = '/x', body = 'b' }",
        SamplerKind::Http { method: "PUT".into(), path: text("/x"), body: text("b") },
    );
}

#[test]
fn live_readers() {
    let check = |text: &str, change: fn(&mut Tail)| {
        let mut want = Tail {
            streams: 0,
            mode: TailMode::Sse,
            from: From::Now,
            behaviour: Behaviour::default(),
            checks: DeliveryChecks::default(),
        };
        change(&mut want);
        assert_eq!(sampler(text).kind, SamplerKind::Tail(want), "{text}");
    };
    check("tail = {}", |_| {});
    check("tail = { mode = 'long-poll', from = 'beginning' }", |tail| {
        (tail.mode, tail.from) = (TailMode::LongPoll, From::Beginning);
    });
    check("tail = { mode = 'events' }", |tail| tail.mode = TailMode::Events);
    check("tail = { mode = 'catch-up' }", |tail| {
        tail.mode = TailMode::CatchUp { pause: Duration::from_millis(100) };
    });
    check("tail = { mode = 'catch-up', pause = '1s' }", |tail| {
        tail.mode = TailMode::CatchUp { pause: secs(1) };
    });
    check("tail = { storm_every = '20s', bytes_per_second = '1KiB' }", |tail| {
        tail.behaviour.storm_every = Some(secs(20));
        tail.behaviour.bytes_per_second = Some(1024);
    });
    check("tail = { stay = '8s', away = '1s', gap_free = false, order = 'false' }", |tail| {
        (tail.behaviour.stay, tail.behaviour.away) = (Some(secs(8)), secs(1));
        (tail.checks.gap_free, tail.checks.order) = (false, false);
    });
}

#[test]
fn pauses_and_nesting() {
    let and = |pause: &str| format!("head = {{}}\n[[groups.steps]]\npause = {pause}");
    let second = |pause: &str| read(&with_step(&and(pause))).groups[0].steps[1].clone();
    let check = |pause: &str, want: Timer| assert_eq!(second(pause), Step::Pause(want), "{pause}");
    check("'1s'", Timer::Constant(secs(1)));
    check("{ min = '1s', max = '2s' }", Timer::Uniform { min: secs(1), max: secs(2) });
    check("{ max = '2s' }", Timer::Uniform { min: secs(0), max: secs(2) });
    check(
        "{ mean = '2s', deviation = '1s' }",
        Timer::Gaussian { mean: secs(2), deviation: secs(1) },
    );
    check("{ lambda = '2s' }", Timer::Poisson { offset: secs(0), lambda: secs(2) });
    check(
        "{ constant_throughput = '30/min', shared = true }",
        Timer::ConstantThroughput { per_minute: 30.0, shared: true },
    );
    check("{ precise_throughput = 5 }", Timer::PreciseThroughput { per_second: 5.0 });

    let head = Step::Sample(Box::new(sampler("head = {}")));
    assert_eq!(
        step("loop = { times = 2, steps = [{ head = {} }] }"),
        Step::Loop { times: Some(2), steps: vec![head.clone()] }
    );
    assert_eq!(
        step("if = { condition = '1 < 2', steps = [{ head = {} }] }"),
        Step::If {
            condition: Condition { left: text("1"), operator: Operator::Less, right: text("2") },
            steps: vec![head.clone()],
        }
    );
    assert_eq!(
        step("label = 't'\ntransaction = { include_pauses = true, steps = [{ head = {} }] }"),
        Step::Transaction { label: "t".into(), steps: vec![head], include_pauses: true }
    );
}

#[test]
fn assertions_and_extractions() {
    let check = |text: &str, want: &str| {
        let got = sampler(&format!("head = {{}}\nassert = [{text}]")).assertions;
        assert_eq!(format!("{:?}", got[0]), want, "{text}");
    };
    check("{ status = 200 }", "Status([200..=200])");
    check("{ status = [404, '2xx'] }", "Status([404..=404, 200..=299])");
    check("{ duration = '1s' }", "Duration(1s)");
    check("{ size = '<= 1KiB' }", "Size(SizeCheck { operator: LessOrEqual, bytes: 1024 })");
    check(
        "{ body = { contains = ['a', 'b'], not = true } }",
        "Body(TextCheck { how: Contains, any_of: [Text(Template([Text(\"a\")])), \
         Text(Template([Text(\"b\")]))], not: true })",
    );
    check(
        "{ header = { name = 'ETag', matches = '.+' } }",
        "Header { name: \"ETag\", text: TextCheck { how: Matches, any_of: \
         [Regex(Regex(\".+\"))], not: false } }",
    );
    let all = sampler(
        "head = {}\nassert = [{ json_path = '$.a' }, { json_path = { path = '$.a', equals = 5 } }]",
    );
    let Assertion::JsonPath { equals: None, not: false, .. } = &all.assertions[0] else {
        panic!("{all:?}");
    };
    let Assertion::JsonPath { equals: Some(five), .. } = &all.assertions[1] else {
        panic!("{all:?}");
    };
    assert_eq!(*five, text("5"));

    let all = sampler(
        "head = {}\nextract = [{ variable = 'a', header = 'ETag' }, \
         { variable = 'b', json_path = '$.b', default = 'x' }, { variable = 'c', regex = '(.)' }]",
    );
    let found: Vec<_> = all.extractions.iter().map(|e| (&*e.variable, &*e.default)).collect();
    assert_eq!(found, [("a", ""), ("b", "x"), ("c", "")]);
    assert!(matches!(all.extractions[2].from, ExtractFrom::Regex(_)));
}

#[test]
fn properties_are_filled_in_anywhere() {
    let plan = "target = '${__P(url,http://h/s)}'\nbearer = '${token}'\n[variables]\nroom = 'a'\n\
                [[data]]\nfile = '${__P(file,u.csv)}'\n\
                [[groups]]\nrate = '${__P(rate,5)}'\nduration = '${d}'\n\
                steps = [{ http = { path = '${room}-${id}' } }]";
    let given = [("d", "9s"), ("token", "${x}"), ("rate", "7/s"), ("room", "b")];
    let plan = read_with(plan, &given).unwrap();
    assert_eq!(plan.bearer, Some(text("${x}")), "a value is text");
    assert_eq!(plan.variables["room"], text("b"), "a property goes before a variable");
    let Load::Open { stages, .. } = &plan.groups[0].load else { panic!() };
    assert_eq!(stages, &[RateStage { duration: secs(9), from: 7.0, to: 7.0 }]);
    let Step::Sample(sampler) = &plan.groups[0].steps[0] else { panic!() };
    let SamplerKind::Http { path, .. } = &sampler.kind else { panic!() };
    assert_eq!(path.0, [Piece::Text("b-".into()), Piece::Variable("id".into())]);
}

#[test]
fn variables_may_refer_to_variables() {
    let plan = read(
        "target = 'http://h/s'\n[variables]\na = '${b}'\nb = 5\n[[groups]]\nusers = 1\n\
         iterations = 1\nsteps = [{ http = { path = '${a}' } }]",
    );
    assert_eq!((&plan.variables["a"], &plan.variables["b"]), (&variable("b"), &text("5")));
}

#[test]
fn data_sets() {
    let plan = with_group("users = 1\niterations = 1");
    let read = |fields: &str| read(&format!("{plan}[[data]]\nfile = 'u.csv'\n{fields}")).data;
    let named = read("variables = ['x', 'y']");
    assert_eq!((&named[0].variables[..], named[0].rows.len()), (&["x".into(), "y".into()][..], 3));
    let skipped = read("variables = ['x', 'y']\nskip_first_row = true\nrecycle = false");
    assert_eq!((skipped[0].rows.len(), skipped[0].recycle), (2, false));
    let whole = read("variables = ['line']\ndelimiter = ';'");
    assert_eq!(whole[0].rows[1], ["1,a"]);
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        let _ = read_with(&text, &[("a", "1")]);
    }

    /// A whole plan with one place changed.
    #[test]
    fn damaged_plans_are_answered(
        at in 0usize..4000,
        length in 0usize..6,
        with in "([0-9]|[a-z]|[\\[\\]{}=,.'\"#\n$é-]){0,4}",
    ) {
        let plan = include_str!("../../../../configs/load/mixed.toml");
        let at = at % plan.len();
        let damaged = [&plan[..at], &with, &plan[(at + length).min(plan.len())..]].concat();
        let _ = read_with(&damaged, &[]);
    }

    /// Near enough to a plan that it gets past the parser.
    #[test]
    fn almost_plans_are_answered(
        part in "(users|rate|hold|duration|stages|iterations|name|on_error) = \
                 (0|-1|1.5|nan|'1s'|'\\$\\{a\\}'|'\\$\\{__P\\(a,5\\)\\}'|\\[\\]|\\{\\}|true|'')",
        step in "(append|tail|read|http|pause|loop|if|transaction|create|assert|extract) = \
                 (\\{\\}|''|5|\\{ (size|body|from|path|steps|times|stream) = (0|''|'\\$\\{'|\\[\\]) \\})",
    ) {
        let _ = read_with(&with_group(&part), &[]);
        let _ = read_with(&with_step(&step), &[]);
    }
}
