//! Rounds: floor, contestant, floor, contestant, floor.
//!
//! A machine is never the same twice. So each contestant runs between two runs of the floor, and
//! what counts is its ratio to their mean. If these two differ by more than [`MOST_DIFFERENCE`] in
//! the first figure, the machine changed meanwhile, and the contestant runs again between the
//! second and a third one; after [`REPEATS`] the reading stays and is marked as noisy.
//!
//! Invariant: every contestant takes part in every round, each round begins with another one, and
//! one that fails does not take part any more.
//!
//! Deliberately absent: what a run is.

use crate::Failure;
use crate::figures::difference;

/// Whose turn it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    /// The floor that others are compared with.
    Floor,
    /// A contestant.
    Contestant(usize),
}

/// What came of one run of a contestant.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Reading {
    /// From 0.
    pub(crate) round: usize,
    /// By metric.
    pub(crate) values: Vec<f64>,
    /// Those of the floors before and after it.
    pub(crate) floors: Option<[Vec<f64>; 2]>,
    /// The floors differ too much.
    pub(crate) noisy: bool,
}

/// All of a contestant.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Series {
    pub(crate) readings: Vec<Reading>,
    /// Why it has no more.
    pub(crate) failure: Option<String>,
}

/// Everything.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Played {
    /// By contestant.
    pub(crate) series: Vec<Series>,
    /// Every run of the floor.
    pub(crate) floor: Vec<Vec<f64>>,
}

/// Plays all rounds. Only a floor that fails ends them.
pub(crate) fn play(
    contestants: usize,
    rounds: usize,
    with_floor: bool,
    run: &mut dyn FnMut(usize, Who) -> Result<Vec<f64>, Failure>,
) -> Result<Played, Failure> {
    let mut played = Played { series: vec![Series::default(); contestants], ..Played::default() };
    let mut before = None;
    for round in 0..rounds {
        for at in 0..contestants {
            let who = (round + at) % contestants;
            if played.series[who].failure.is_some() {
                continue;
            }
            let mut floor = |run: &mut dyn FnMut(usize, Who) -> Result<Vec<f64>, Failure>| {
                let values = run(round, Who::Floor)?;
                played.floor.push(values.clone());
                Ok::<_, Failure>(values)
            };
            if with_floor && before.is_none() {
                before = Some(floor(run)?);
            }
            for repeat in 0..=REPEATS {
                let values = match run(round, Who::Contestant(who)) {
                    Ok(values) => values,
                    Err(error) => {
                        played.series[who].failure = Some(error.to_string());
                        break;
                    }
                };
                let floors = match &before {
                    None => None,
                    Some(first) => Some([first.clone(), floor(run)?]),
                };
                before = floors.as_ref().map(|floors| floors[1].clone());
                let noisy = floors.as_ref().is_some_and(|[one, other]| differ(one, other));
                if !noisy || repeat == REPEATS {
                    let reading = Reading { round, values, floors, noisy };
                    played.series[who].readings.push(reading);
                    break;
                }
            }
        }
    }
    Ok(played)
}

/// Whether the machine changed between two runs of the floor.
fn differ(one: &[f64], other: &[f64]) -> bool {
    let first = |values: &[f64]| values.first().copied().unwrap_or(f64::NAN);
    let difference = difference(first(one), first(other));
    // What is no number is no reason to trust it.
    difference.is_nan() || difference > MOST_DIFFERENCE
}

/// Between the first figures of two floors, as a part of the smaller one.
pub(crate) const MOST_DIFFERENCE: f64 = 0.15;
/// How often a contestant runs again because of its floors, in one round.
const REPEATS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays with floors of the given figures, one after the other, and tells the order.
    fn check(contestants: usize, rounds: usize, floors: &[f64], order: &str) -> Played {
        let (mut floors, mut said) = (floors.iter(), String::new());
        let played = play(contestants, rounds, !floors.as_slice().is_empty(), &mut |_, who| {
            Ok(match who {
                Who::Floor => {
                    said.push('f');
                    vec![*floors.next().unwrap()]
                }
                Who::Contestant(who) => {
                    said.push_str(&who.to_string());
                    vec![7.0]
                }
            })
        });
        assert_eq!(said, order);
        played.unwrap()
    }

    #[test]
    fn a_floor_serves_both_sides() {
        let played = check(2, 2, &[10.0, 11.0, 10.0, 10.0, 11.0], "f0f1f1f0f");
        assert_eq!(played.floor.len(), 5);
        let first = &played.series[0].readings[0];
        assert_eq!(first.floors, Some([vec![10.0], vec![11.0]]));
        assert_eq!(played.series[0].readings[1].floors, Some([vec![10.0], vec![11.0]]));
        assert!(played.series.iter().flat_map(|series| &series.readings).all(|one| !one.noisy));
    }

    #[test]
    fn without_a_floor() {
        let played = check(2, 2, &[], "0110");
        assert!(played.floor.is_empty() && played.series[1].readings[0].floors.is_none());
    }

    #[test]
    fn a_round_between_different_floors_is_repeated() {
        let played = check(1, 1, &[10.0, 12.0, 12.0], "f0f0f");
        let readings = &played.series[0].readings;
        assert_eq!((readings.len(), readings[0].noisy), (1, false));
        assert_eq!(readings[0].floors, Some([vec![12.0], vec![12.0]]));
    }

    #[test]
    fn but_not_for_ever() {
        let played = check(1, 1, &[10.0, 12.0, 10.0, 12.0], "f0f0f0f");
        assert!(played.series[0].readings[0].noisy);
        let played = check(1, 1, &[f64::NAN; 4], "f0f0f0f");
        assert!(played.series[0].readings[0].noisy);
    }

    #[test]
    fn who_fails_is_out() {
        let mut runs = [0, 0];
        let played = play(2, 3, false, &mut |_, who| match who {
            Who::Contestant(0) => {
                runs[0] += 1;
                Err("broken".into())
            }
            _ => {
                runs[1] += 1;
                Ok(vec![1.0])
            }
        });
        let played = played.unwrap();
        assert_eq!(runs, [1, 3]);
        assert_eq!(played.series[0].failure.as_deref(), Some("broken"));
        assert_eq!((played.series[0].readings.len(), played.series[1].readings.len()), (0, 3));
    }

    #[test]
    fn a_floor_that_fails_ends_it() {
        let played = play(1, 1, true, &mut |_, _| Err("broken".into()));
        assert!(played.is_err());
    }
}
