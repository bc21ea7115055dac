//! Searches against a model of a server: latency rises as its one core fills, CPU and memory cost
//! what the constants below say.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::measure::{CapacityOptions, Event, measure};
use super::report::CapacityReport;
use super::scale::tests::plan;
use super::search::{Answer, Limit, Outcome, SearchOptions};
use super::usage::Usage;
use super::{Knob, Resource, Scaling, TrialRecord};
use crate::LoadError;
use crate::engine::RunOptions;
use crate::plan::{Metric, Operator, Plan, Threshold};
use crate::result::{
    CoreResult, DeliveryResult, Gauge, GroupResult, Machine, Meta, Note, RunResult, Times,
    thresholds,
};

const CPU_IDLE: f64 = 0.02;
const CPU_PER_DELIVERY: f64 = 8e-6;
const RSS_IDLE: f64 = 40e6;
const RSS_PER_READER: f64 = 9000.0;
const SECONDS: u64 = 10;

/// What the model says for a plan: CPU of its busiest thread and 99th percentile in milliseconds.
fn load(plan: &Plan) -> (f64, f64, f64, f64) {
    let readers = plan.knob_value(Knob::Readers).expect("readers");
    let rate = plan.knob_value(Knob::Rate).expect("a rate");
    let cpu = CPU_IDLE + CPU_PER_DELIVERY * readers * rate;
    let p99 = if cpu < 1.0 { 5.0 / (1.0 - cpu) } else { 60_000.0 };
    (readers, rate, cpu.min(1.0), p99)
}

fn result(plan: &Plan) -> RunResult {
    let (readers, rate, cpu, p99) = load(plan);
    let mut times = Times::new();
    times.record_n((p99 * 0.3e6) as u64, 90);
    times.record_n((p99 * 1e6) as u64, 10);
    let delivered = (readers * rate) as u64 * SECONDS;
    let mut result = RunResult {
        format: 1,
        meta: Meta {
            plan: plan.name.clone(),
            target: plan.target.clone(),
            duration_ms: SECONDS * 1000,
            machine: Machine { memory_bytes: 8 << 30, ..Machine::default() },
            ..Meta::default()
        },
        groups: vec![GroupResult {
            name: "writers".to_owned(),
            open: true,
            intended: 100,
            started: 100,
            not_sent: 0,
            users: 1,
            intended_rate: rate,
            achieved_rate: rate,
        }],
        operations: Vec::new(),
        deliveries: vec![DeliveryResult {
            label: "tail".to_owned(),
            mode: "sse".to_owned(),
            readers: readers as u64,
            expected: delivered,
            delivered,
            lost: 0,
            duplicated: 0,
            reordered: 0,
            damaged: 0,
            reconnects: 0,
            failed_readers: 0,
            bytes_received: delivered * 150,
            times,
            last_reader: Times::new(),
            reader_max: Times::new(),
            reader_mean: Times::new(),
            setup: Times::new(),
            faults: Vec::new(),
            unjudged: 0,
        }],
        lateness: Times::new(),
        cores: vec![CoreResult {
            name: "0".to_owned(),
            operations: 0,
            deliveries: delivered,
            cpu_ms: (cpu * 500.0) as u64,
            wall_ms: 1000,
            lateness: Times::new(),
        }],
        intervals: Vec::new(),
        gauges: Vec::new(),
        errors: Vec::new(),
        notes: Vec::new(),
        verdicts: Vec::new(),
    };
    result.verdicts = thresholds::evaluate(&plan.thresholds, &result);
    result
}

fn options(knob: Knob, from: f64) -> CapacityOptions {
    let text = "p99<250ms".to_owned();
    let metric = Metric::Percentile(99.0);
    let slo = vec![Threshold {
        label: None,
        metric,
        operator: Operator::Less,
        value: 250e6,
        text: text.clone(),
    }];
    CapacityOptions {
        search: SearchOptions::new(knob, from),
        slo_text: text,
        slo,
        trial_duration: None,
        settle: std::time::Duration::ZERO,
        server_pid: None,
        hardware: None,
    }
}

fn search(
    options: &CapacityOptions,
    mut run: impl FnMut(&Plan) -> Result<RunResult, LoadError>,
) -> Result<CapacityReport, LoadError> {
    let mut run = |plan: &Plan, _: &Scaling, _: &RunOptions| run(plan);
    measure(&plan(), options, &RunOptions::default(), &mut run, &mut |_| {})
}

/// As if the server had been watched.
fn watched(report: CapacityReport, options: &CapacityOptions) -> CapacityReport {
    let mut trials: Vec<TrialRecord> = report.trials;
    for record in &mut trials {
        let seen = record.seen.as_mut().expect("ran");
        let (readers, deliveries) = (seen.readers as f64, seen.deliveries_per_second);
        let cpu = (CPU_IDLE + CPU_PER_DELIVERY * deliveries).min(1.0);
        let rss_bytes = (RSS_IDLE + RSS_PER_READER * readers) as u64;
        seen.server = Some(Usage { cpu, busiest_thread: cpu, busy_threads: 1, rss_bytes });
    }
    CapacityReport::new(options, report.meta, trials, report.answer, report.best)
}

/// Readers at 20 messages a second for which the model's p99 is 250 ms.
fn true_capacity() -> f64 {
    (1.0 - 5.0 / 250.0 - CPU_IDLE) / CPU_PER_DELIVERY / 20.0
}

#[test]
fn the_knee_of_a_modelled_server_is_found_and_explained() {
    let mut options = options(Knob::Readers, 500.0);
    options.server_pid = Some(1);
    options.hardware = Some("cores=16,memory=64GiB,network=10Gbit".parse().expect("parses"));
    let mut events = (0, 0);
    let mut run = |plan: &Plan, _: &Scaling, _: &RunOptions| Ok(result(plan));
    let report =
        measure(&plan(), &options, &RunOptions::default(), &mut run, &mut |event| match event {
            Event::Begin(_) => events.0 += 1,
            Event::End(_) => events.1 += 1,
        });
    let report = watched(report.expect("a report"), &options);
    assert_eq!(events, (report.trials.len(), report.trials.len()));
    let Some(Answer::Sustained { value, .. }) = report.answer else { panic!("{report}") };
    let exact = true_capacity();
    assert!(value <= exact && exact <= value * 1.05, "{value} of {exact}");
    assert_eq!(report.recommended, Some(0.7 * value));
    assert_eq!(report.first_limit.resource, Some(Resource::ServerCore), "{report}");
    let memory = report.per.bytes_per_reader.expect("watched");
    assert!((memory / RSS_PER_READER - 1.0).abs() < 1e-3, "{memory}");
    let cpu = report.model.cpu.as_ref().expect("a model");
    let cost = cpu.coefficient("deliveries per second").expect("supported");
    assert!((cost / CPU_PER_DELIVERY - 1.0).abs() < 1e-3, "{cpu:?}");
    assert!(report.model.gaps.iter().any(|gap| gap.contains("moved together")), "{report}");

    let carried = report.extrapolation.clone().expect("hardware was stated");
    let value_there = carried.value.expect("a value");
    assert_eq!(carried.first, Some(Resource::Cpu), "{report}");
    assert!((value_there / value / 16.0 - 1.0).abs() < 0.05, "{value_there}");
    let text = report.to_string();
    for part in ["SUSTAINED: ", "EXTRAPOLATION, not measured", "It assumes that", "p99 = "] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let again: CapacityReport = serde_json::from_str(&report.to_json()).expect("valid");
    assert_eq!(again.answer, report.answer);
    if std::env::var_os("SHOW").is_some() {
        println!("{text}");
    }
}

#[test]
fn a_generator_at_its_limit_is_said_so() {
    let mut shortest = None;
    let report = search(&options(Knob::Readers, 500.0), |plan| {
        let mut result = result(plan);
        if plan.knob_value(Knob::Readers).expect("readers") > 1500.0 {
            let text = "the generator was 80 ms late".to_owned();
            result.notes.push(Note { warning: true, code: "generator-late".to_owned(), text });
            result.verdicts[0].passed = false;
        }
        shortest = Some(result.meta.duration_ms);
        Ok(result)
    });
    let report = report.expect("a report");
    let want = Answer::AtLeast { value: Some(1000.0), limit: Limit::Generator };
    assert_eq!(report.answer, Some(want));
    let text = report.to_string();
    assert!(text.contains("AT LEAST: 1,000 readers: the generator is the limit"), "{text}");
    assert!(!text.contains("SUSTAINED"), "{text}");
    assert_eq!(report.first_limit.resource, Some(Resource::Generator));
}

#[test]
fn a_queue_at_the_server_is_not_the_generators_fault() {
    let check = |code: &str, in_flight: u64, want: Outcome| {
        let report = search(&options(Knob::Readers, 500.0), |plan| {
            let mut result = result(plan);
            let (code, text) = (code.to_owned(), String::new());
            result.notes.push(Note { warning: true, code, text });
            result.gauges.push(Gauge { in_flight, ..Gauge::default() });
            result.groups[0].achieved_rate *= 0.5;
            Ok(result)
        });
        assert_eq!(report.expect("a report").trials[0].outcome, want, "{code} {in_flight}");
    };
    check("generator-late", 0, Outcome::GeneratorFailed);
    check("generator-late", 10, Outcome::Failed);
    check("generator-busy", 10, Outcome::GeneratorFailed);
    check("near-ceiling", 10, Outcome::GeneratorFailed);
    check("generator-behind", 0, Outcome::Failed);
    check("closed-loop", 0, Outcome::Failed);
}

#[test]
fn runs_that_cannot_be_made() {
    let descriptors = || LoadError::Descriptors { wanted: 9, connections: 8, reserve: 1, limit: 5 };
    let refused = || LoadError::Connect {
        address: ([127, 0, 0, 1], 1).into(),
        source: std::io::ErrorKind::ConnectionRefused.into(),
    };
    let from = |at: f64, error: &dyn Fn() -> LoadError| {
        search(&options(Knob::Readers, 100.0), |plan| {
            let enough = plan.knob_value(Knob::Readers).expect("readers") >= at;
            if enough { Err(error()) } else { Ok(result(plan)) }
        })
    };
    let report = from(300.0, &descriptors).expect("a report");
    let want = Answer::AtLeast { value: Some(200.0), limit: Limit::Generator };
    assert_eq!(report.answer, Some(want), "{report}");

    let report = from(300.0, &refused).expect("a report");
    let Some(Answer::Sustained { value, .. }) = report.answer else { panic!("{report}") };
    assert!((285.0..300.0).contains(&value), "the server refuses more: {value}");

    let first = from(0.0, &refused).expect_err("the address may be wrong");
    assert!(matches!(first, LoadError::Connect { .. }), "{first}");
    let first = from(0.0, &|| LoadError::Plan("broken")).expect_err("nothing was found");
    assert!(matches!(first, LoadError::Plan(_)));
    let other = from(300.0, &|| LoadError::Plan("broken")).expect("a report of what was found");
    assert_eq!((other.trials.len(), other.answer, other.best), (2, None, Some(200.0)));
    assert_eq!(other.failure.as_deref(), Some("broken"));
    let said = "NOT FINISHED: 200 readers held until then; the next trial: broken";
    assert!(other.to_string().contains(said), "{other}");
}

#[test]
fn too_few_arrivals_are_not_held() {
    let report = search(&options(Knob::Readers, 100.0), |plan| {
        let mut result = result(plan);
        result.groups[0].achieved_rate *= 0.9;
        Ok(result)
    });
    let report = report.expect("a report");
    assert!(matches!(report.answer, Some(Answer::Below { .. })), "{report}");
    assert_eq!(report.trials[0].outcome, Outcome::Failed);
    assert!(report.trials[0].reasons[0].contains("started"), "{report}");
    assert_eq!((report.best, report.recommended), (None, None));
}

#[test]
fn a_search_that_is_stopped_says_what_held() {
    let run_options = RunOptions::default();
    let stop = run_options.stop.clone();
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let mut run = move |plan: &Plan, _: &Scaling, _: &RunOptions| {
        let mut result = result(plan);
        if counted.fetch_add(1, Ordering::Relaxed) == 2 {
            stop.stop();
            result.meta.interrupted = true;
        }
        Ok(result)
    };
    let options = options(Knob::Readers, 100.0);
    let report = measure(&plan(), &options, &run_options, &mut run, &mut |_| {});
    let report = report.expect("a report");
    assert_eq!((runs.load(Ordering::Relaxed), report.answer, report.best), (3, None, Some(200.0)));
    assert!(report.to_string().contains("STOPPED: 200 readers held"), "{report}");
}

#[test]
fn a_plan_without_the_knob_is_refused() {
    let mut none = plan();
    none.groups.clear();
    let mut run = |plan: &Plan, _: &Scaling, _: &RunOptions| Ok(result(plan));
    let run_options = RunOptions::default();
    let error = measure(&none, &options(Knob::Rate, 1.0), &run_options, &mut run, &mut |_| {});
    assert!(error.expect_err("no open group").to_string().contains("--knob readers"));
}
