//! A plan with more or less of what a [`Knob`] turns.
//!
//! Invariants: proportions between groups and between sets stay as near as whole numbers allow,
//! and the total is exactly the value; everything else of the plan stays as it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Knob;
use crate::plan::{Load, Plan, RateStage, SamplerKind, Step, UserStage};

/// How a plan is changed for a trial. What goes to the workers of a distributed search.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// What is changed.
    pub knob: Knob,
    /// To what.
    pub value: f64,
    /// Length of the measured part; that of the plan's longest group otherwise.
    pub duration: Option<Duration>,
}

impl Scaling {
    /// The plan as steady load of this value.
    ///
    /// # Errors
    /// The plan has nothing that the knob turns, or the value is out of range.
    pub fn apply(&self, plan: &Plan) -> Result<Plan, ScaleError> {
        Ok(plan.scaled(self.knob, self.value)?.steady(self.duration))
    }
}

/// Why a plan cannot be scaled.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScaleError {
    /// It has no group that makes arrivals.
    #[error(
        "the plan has no open group with a rate above zero, so its rate cannot be changed: \
         use --knob readers or --knob streams, or give a group `rate` instead of `users`"
    )]
    NoRate,
    /// It has no live readers.
    #[error(
        "the plan has no closed group with a tail step and users, so its readers cannot be \
         changed: use --knob rate or --knob streams"
    )]
    NoReaders,
    /// It has no streams.
    #[error("the plan has no streams, so their number cannot be changed: use --knob rate")]
    NoStreams,
    /// The value makes no sense.
    #[error("{value} is not a number of {unit} from {lowest} to 4294967295")]
    Value {
        /// The value.
        value: f64,
        /// Of what.
        unit: &'static str,
        /// The lowest that would do.
        lowest: u64,
    },
}

impl Plan {
    /// The knob's value in this plan: the highest total rate, all users of groups with a `tail`
    /// step, or all streams.
    ///
    /// # Errors
    /// The plan has nothing that the knob turns.
    pub fn knob_value(&self, knob: Knob) -> Result<f64, ScaleError> {
        let (total, none) = match knob {
            Knob::Rate => (self.groups.iter().map(peak_rate).sum(), ScaleError::NoRate),
            Knob::Readers => (sum(&self.readers()), ScaleError::NoReaders),
            Knob::Streams => (sum(&self.stream_counts()), ScaleError::NoStreams),
        };
        if total > 0.0 { Ok(total) } else { Err(none) }
    }

    /// The same plan with this value instead.
    ///
    /// # Errors
    /// The plan has nothing that the knob turns, or the value is out of range.
    pub fn scaled(&self, knob: Knob, value: f64) -> Result<Plan, ScaleError> {
        let now = self.knob_value(knob)?;
        let mut plan = self.clone();
        match knob {
            Knob::Rate => {
                let positive = value.is_finite() && value > 0.0 && value <= f64::from(u32::MAX);
                if !positive {
                    return Err(ScaleError::Value { value, unit: knob.unit(), lowest: 0 });
                }
                plan.groups.iter_mut().for_each(|group| scale_rate(&mut group.load, value / now));
            }
            Knob::Readers => {
                let counts = share_out(&self.readers(), whole(knob, value, 1)?, 0);
                for (group, users) in plan.groups.iter_mut().zip(counts) {
                    scale_users(&mut group.load, &group.steps, users);
                }
            }
            Knob::Streams => {
                let lowest = self.streams.len() as u64;
                let counts = share_out(&self.stream_counts(), whole(knob, value, lowest)?, 1);
                plan.streams.iter_mut().zip(counts).for_each(|(set, count)| set.count = count);
            }
        }
        Ok(plan)
    }

    /// The same plan as steady load: every group at its highest rate or number of users, at once
    /// and for all of the run. The warm-up comes on top of `duration`. Groups with a fixed number
    /// of iterations stay as they are.
    #[must_use]
    pub fn steady(&self, duration: Option<Duration>) -> Plan {
        let duration = duration.map_or_else(|| self.length(), |length| length + self.warm_up);
        let mut plan = self.clone();
        for group in &mut plan.groups {
            let rate = peak_rate(group);
            match &mut group.load {
                Load::Open { stages, .. } => {
                    *stages = vec![RateStage { duration, from: rate, to: rate }];
                }
                Load::Closed { stages, iterations: None } => {
                    let users = most_users(stages);
                    *stages = vec![
                        UserStage { duration: Duration::ZERO, users },
                        UserStage { duration, users },
                    ];
                }
                Load::Closed { iterations: Some(_), .. } => continue,
            }
            group.delay = Duration::ZERO;
        }
        plan
    }

    /// From the begin to the end of the last group's stages, warm-up included.
    fn length(&self) -> Duration {
        let lengths = self.groups.iter().map(|group| {
            let stages: Duration = match &group.load {
                Load::Open { stages, .. } => stages.iter().map(|stage| stage.duration).sum(),
                Load::Closed { stages, .. } => stages.iter().map(|stage| stage.duration).sum(),
            };
            group.delay + stages
        });
        lengths.max().unwrap_or_default()
    }

    /// Readers by group; none in groups that are something else.
    fn readers(&self) -> Vec<u32> {
        let readers = self.groups.iter().map(|group| match &group.load {
            Load::Closed { stages, .. } if has_tail(&group.steps) => most_users(stages),
            _ => 0,
        });
        readers.collect()
    }

    fn stream_counts(&self) -> Vec<u32> {
        self.streams.iter().map(|set| set.count).collect()
    }
}

fn peak_rate(group: &crate::plan::Group) -> f64 {
    match &group.load {
        Load::Open { stages, .. } => {
            stages.iter().map(|stage| stage.from.max(stage.to)).fold(0.0, f64::max)
        }
        Load::Closed { .. } => 0.0,
    }
}

fn scale_rate(load: &mut Load, factor: f64) {
    let Load::Open { stages, max_in_flight, .. } = load else { return };
    for stage in stages {
        stage.from *= factor;
        stage.to *= factor;
    }
    // More arrivals of the same latency are more at the same time: the plan's own limit must not
    // be what the search finds.
    *max_in_flight = (f64::from(*max_in_flight) * factor.max(1.0)) as u32;
}

fn scale_users(load: &mut Load, steps: &[Step], users: u32) {
    let Load::Closed { stages, .. } = load else { return };
    let most = most_users(stages);
    if most == 0 || !has_tail(steps) {
        return;
    }
    for stage in stages {
        let scaled = u64::from(stage.users) * u64::from(users) / u64::from(most);
        stage.users = u32::try_from(scaled).unwrap_or(u32::MAX);
    }
}

fn most_users(stages: &[UserStage]) -> u32 {
    stages.iter().map(|stage| stage.users).max().unwrap_or(0)
}

fn has_tail(steps: &[Step]) -> bool {
    steps.iter().any(|step| match step {
        Step::Sample(sampler) => matches!(sampler.kind, SamplerKind::Tail(_)),
        Step::Pause(_) => false,
        Step::Loop { steps, .. } | Step::If { steps, .. } | Step::Transaction { steps, .. } => {
            has_tail(steps)
        }
    })
}

fn sum(counts: &[u32]) -> f64 {
    counts.iter().map(|count| f64::from(*count)).sum()
}

fn whole(knob: Knob, value: f64, lowest: u64) -> Result<u32, ScaleError> {
    let rounded = value.round();
    if rounded >= lowest as f64 && rounded <= f64::from(u32::MAX) {
        Ok(rounded as u32)
    } else {
        Err(ScaleError::Value { value, unit: knob.unit(), lowest })
    }
}

/// `total` in the proportions of `counts`, each at least `least` (and none where there were
/// none): largest remainders get what rounding leaves.
fn share_out(counts: &[u32], total: u32, least: u32) -> Vec<u32> {
    let all: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    let spare = u64::from(total).saturating_sub(counts.len() as u64 * u64::from(least));
    let share = |count: &u32| u64::from(*count) * spare;
    let mut out: Vec<u32> =
        counts.iter().map(|count| least + (share(count) / all.max(1)) as u32).collect();
    let given: u64 = out.iter().map(|count| u64::from(*count)).sum();
    let mut order: Vec<usize> = (0..counts.len()).filter(|index| counts[*index] > 0).collect();
    order.sort_by_key(|index| std::cmp::Reverse(share(&counts[*index]) % all.max(1)));
    for index in order.into_iter().take(u64::from(total).saturating_sub(given) as usize) {
        out[index] += 1;
    }
    out
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{
        Arrivals, Behaviour, Choice, DeliveryChecks, From, Group, OnError, Payload, Sampler, Size,
        StreamSet, Tail, TailMode,
    };

    fn sample(kind: SamplerKind) -> Vec<Step> {
        let (fields, assertions, extractions) = (Vec::new(), Vec::new(), Vec::new());
        let label = "step".to_owned();
        vec![Step::Sample(Box::new(Sampler { label, kind, fields, assertions, extractions }))]
    }

    fn group(load: Load, steps: Vec<Step>) -> Group {
        let delay = Duration::from_secs(1);
        Group { name: "g".to_owned(), load, delay, steps, on_error: OnError::Continue }
    }

    fn open(rate: f64) -> Group {
        let stage = |from, to| RateStage { duration: Duration::from_secs(10), from, to };
        let append =
            SamplerKind::Append { streams: 0, payload: Payload::Stamped(Size::Constant(100)) };
        let stages = vec![stage(0.0, rate), stage(rate, rate)];
        let load = Load::Open { stages, arrivals: Arrivals::Constant, max_in_flight: 10 };
        group(load, sample(append))
    }

    fn readers(users: u32) -> Group {
        let tail = Tail {
            streams: 0,
            mode: TailMode::Sse,
            from: From::Now,
            behaviour: Behaviour::default(),
            checks: DeliveryChecks::default(),
        };
        let stages = vec![UserStage { duration: Duration::from_secs(5), users }];
        let inner = sample(SamplerKind::Tail(tail));
        let steps = vec![Step::Loop { times: None, steps: inner }];
        group(Load::Closed { stages, iterations: None }, steps)
    }

    fn set(count: u32) -> StreamSet {
        StreamSet {
            name: "s".to_owned(),
            path: "s".to_owned(),
            live_path: None,
            count,
            choice: Choice::Uniform,
            content_type: "application/json".to_owned(),
            create: true,
            delete: false,
        }
    }

    /// One publisher of 5 a second and one of 15, 30 and 70 readers, 1 and 9 streams.
    pub(in super::super) fn plan() -> Plan {
        Plan {
            name: "test".to_owned(),
            seed: 1,
            target: "http://127.0.0.1:4437/v1/stream".to_owned(),
            transport: crate::plan::Transport::default(),
            warm_up: Duration::from_secs(2),
            drain: Duration::from_secs(1),
            connect_rate: 1000.0,
            timeout: Duration::from_secs(5),
            fields: Vec::new(),
            bearer: None,
            variables: std::collections::BTreeMap::new(),
            streams: vec![set(1), set(9)],
            data: Vec::new(),
            groups: vec![open(5.0), readers(30), open(15.0), readers(70)],
            thresholds: Vec::new(),
        }
    }

    #[test]
    fn values_in_and_out() {
        let check = |knob, now: f64, value: f64| {
            let plan = plan();
            assert_eq!(plan.knob_value(knob), Ok(now));
            let scaled = plan.scaled(knob, value).expect("scales");
            let got = scaled.knob_value(knob).expect("has it");
            assert!((got - value).abs() < 1e-9 * value, "{knob}: {got} instead of {value}");
            for other in [Knob::Rate, Knob::Readers, Knob::Streams] {
                if other != knob {
                    assert_eq!(scaled.knob_value(other), plan.knob_value(other), "{other}");
                }
            }
        };
        check(Knob::Rate, 20.0, 0.5);
        check(Knob::Rate, 20.0, 1e6);
        check(Knob::Readers, 100.0, 1.0);
        check(Knob::Readers, 100.0, 10_001.0);
        check(Knob::Streams, 10.0, 2.0);
        check(Knob::Streams, 10.0, 12_345.0);
    }

    #[test]
    fn proportions_stay() {
        let counts = |plan: &Plan| plan.readers();
        assert_eq!(
            counts(&plan().scaled(Knob::Readers, 1000.0).expect("scales")),
            [0, 300, 0, 700]
        );
        let rates: Vec<f64> = plan()
            .scaled(Knob::Rate, 200.0)
            .expect("scales")
            .groups
            .iter()
            .map(peak_rate)
            .collect();
        assert_eq!(rates, [50.0, 0.0, 150.0, 0.0]);
        let streams = plan().scaled(Knob::Streams, 102.0).expect("scales").stream_counts();
        assert_eq!(streams, [11, 91], "one each, the rest in proportion");
    }

    #[test]
    fn steady_load_has_no_ramps() {
        let scaling =
            Scaling { knob: Knob::Rate, value: 40.0, duration: Some(Duration::from_secs(30)) };
        let plan = scaling.apply(&plan()).expect("scales");
        assert_eq!(plan.length(), Duration::from_secs(32), "warm-up on top");
        let Load::Open { stages, max_in_flight, .. } = &plan.groups[2].load else { panic!() };
        assert_eq!((stages.len(), stages[0].from, stages[0].to), (1, 30.0, 30.0));
        assert_eq!(*max_in_flight, 20);
        let Load::Closed { stages, .. } = &plan.groups[1].load else { panic!() };
        assert_eq!((stages[0].users, stages[1].users), (30, 30));
    }

    #[test]
    fn what_cannot_be_scaled_is_said() {
        let mut none = plan();
        none.groups.clear();
        none.streams.clear();
        for (knob, error) in [
            (Knob::Rate, ScaleError::NoRate),
            (Knob::Readers, ScaleError::NoReaders),
            (Knob::Streams, ScaleError::NoStreams),
        ] {
            assert_eq!(none.scaled(knob, 5.0), Err(error));
            for bad in [f64::NAN, -1.0, 0.0, 1e12] {
                assert!(matches!(plan().scaled(knob, bad), Err(ScaleError::Value { .. })), "{bad}");
            }
        }
        assert!(plan().scaled(Knob::Streams, 1.0).is_err(), "two sets need two streams");
    }

    proptest! {
        #[test]
        fn shares_add_up(
            counts in prop::collection::vec(0u32..1000, 1..8),
            total: u32,
            least in 0u32..2,
        ) {
            let floor = counts.len() as u32 * least;
            prop_assume!(counts.iter().any(|count| *count > 0) && total >= floor);
            let out = share_out(&counts, total, least);
            prop_assert_eq!(out.iter().map(|n| u64::from(*n)).sum::<u64>(), u64::from(total));
            prop_assert!(out.iter().all(|n| *n >= least));
        }
    }
}
