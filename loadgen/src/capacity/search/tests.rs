use proptest::prelude::*;

use super::*;

fn run(options: SearchOptions, mut verdict: impl FnMut(&Trial) -> Outcome) -> (Answer, u32) {
    let mut search = Search::new(options);
    let mut trials = 0;
    while let Some(trial) = search.next() {
        assert_eq!(search.next(), Some(trial), "the same until it is observed");
        trials += 1;
        assert_eq!(trial.number, trials);
        search.observe(&trial, verdict(&trial));
    }
    (search.answer().expect("an answer"), trials)
}

fn up_to(capacity: f64) -> impl FnMut(&Trial) -> Outcome {
    move |trial| if trial.value <= capacity { Outcome::Held } else { Outcome::Failed }
}

#[test]
fn finds_a_capacity() {
    let check = |options: SearchOptions, capacity: f64, want: Answer| {
        assert_eq!(run(options, up_to(capacity)).0, want, "{capacity}");
    };
    let readers = SearchOptions::new(Knob::Readers, 1.0);
    check(readers, 1.0, Answer::Sustained { value: 1.0, fails_at: 2.0 });
    check(readers, 6.0, Answer::Sustained { value: 6.0, fails_at: 7.0 });
    check(readers, 0.0, Answer::Below { value: 1.0 });
    let bounded = SearchOptions { to: Some(50.0), ..readers };
    let upper = Answer::AtLeast { value: Some(50.0), limit: Limit::UpperEnd };
    check(bounded, 50.0, upper);
    check(bounded, 1e9, upper);
    let down = SearchOptions::new(Knob::Readers, 1000.0);
    check(down, 1.0, Answer::Sustained { value: 1.0, fails_at: 2.0 });
}

#[test]
fn the_generator_is_never_called_the_server() {
    let options = SearchOptions::new(Knob::Rate, 100.0);
    let limited = |value| Answer::AtLeast { value, limit: Limit::Generator };
    let check = |failing: Outcome, want: Option<f64>| {
        let verdict = |trial: &Trial| if trial.value < 700.0 { Outcome::Held } else { failing };
        // Four upward, the last one again, and three repeats.
        assert_eq!(run(options, verdict), (limited(want), 8));
    };
    check(Outcome::GeneratorFailed, Some(400.0));
    check(Outcome::GeneratorHeld, Some(800.0));
    assert_eq!(run(options, |_| Outcome::GeneratorFailed), (limited(None), 2));
    assert_eq!(run(options, |_| Outcome::GeneratorHeld), (limited(Some(100.0)), 5));
    let few = SearchOptions { max_trials: 3, ..options };
    let unconfirmed = Answer::Unconfirmed { value: Some(100.0) };
    assert_eq!(run(few, |_| Outcome::GeneratorHeld), (unconfirmed, 3));
}

#[test]
fn a_disturbed_generator_gets_another_trial() {
    for (disturbed, kind) in (1..20)
        .flat_map(|number| [(number, Outcome::GeneratorFailed), (number, Outcome::GeneratorHeld)])
    {
        let mut verdict = up_to(1000.0);
        let options = SearchOptions::new(Knob::Readers, 100.0);
        let (answer, _) = run(options, |trial| match trial.number == disturbed {
            true => kind,
            false => verdict(trial),
        });
        let Answer::Sustained { value, .. } = answer else { panic!("{disturbed}: {answer:?}") };
        assert!((900.0..=1000.0).contains(&value), "{disturbed}: {answer:?}");
    }
}

#[test]
fn a_repeat_that_fails_takes_a_step_down() {
    let mut repeats = 0;
    let (answer, _) = run(SearchOptions::new(Knob::Rate, 100.0), |trial| {
        repeats += u32::from(trial.purpose == Purpose::Confirm);
        let unlucky = trial.purpose == Purpose::Confirm && repeats == 2;
        if trial.value <= 1000.0 && !unlucky { Outcome::Held } else { Outcome::Failed }
    });
    let Answer::Sustained { value, fails_at } = answer else { panic!("{answer:?}") };
    assert!((fails_at / value / 1.05 - 1.0).abs() < 1e-9, "{answer:?}");
    assert_eq!(repeats, 5, "one held, one failed, three more below");
}

proptest! {
    #[test]
    fn any_capacity_is_found_within_the_tolerance(
        capacity in 0.01f64..1e6,
        from in 1f64..1e4,
        tolerance in 0.01f64..0.5,
        factor in 1.2f64..4.0,
        whole: bool,
    ) {
        let knob = if whole { Knob::Readers } else { Knob::Rate };
        let options = SearchOptions {
            tolerance, factor, max_trials: 500, ..SearchOptions::new(knob, from)
        };
        let (answer, trials) = run(options, up_to(capacity));
        prop_assert!(trials < 150, "{trials}");
        match answer {
            Answer::Sustained { value, fails_at } => {
                prop_assert!(value <= capacity && capacity < fails_at, "{answer:?}");
                let gap = if whole { (value * tolerance).max(1.0) } else { value * tolerance };
                prop_assert!(fails_at - value <= gap * (1.0 + 1e-9), "{answer:?}");
            }
            Answer::Below { value } => {
                prop_assert!(capacity < value);
                prop_assert!(value <= (from / 1024.0).max(1.0) + 0.5, "{answer:?}");
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn any_verdicts_end_within_the_bound(
        verdicts in prop::collection::vec(0u8..6, 64),
        from in 0.001f64..1e9,
        max_trials in 1u32..60,
        whole: bool,
    ) {
        let knob = if whole { Knob::Streams } else { Knob::Rate };
        let options = SearchOptions { max_trials, ..SearchOptions::new(knob, from) };
        let mut failed_at = f64::INFINITY;
        let mut above = None;
        let (answer, trials) = run(options, |trial| {
            if trial.value > failed_at {
                above = Some(*trial);
            }
            match verdicts[trial.number as usize] {
                0 | 1 => Outcome::Held,
                2 => Outcome::GeneratorHeld,
                3 => Outcome::GeneratorFailed,
                _ => {
                    failed_at = failed_at.min(trial.value);
                    Outcome::Failed
                }
            }
        });
        prop_assert!(trials <= max_trials);
        prop_assert_eq!(above, None, "tried above a failure");
        prop_assert!(answer.value().is_none_or(|value| value < failed_at));
    }
}
