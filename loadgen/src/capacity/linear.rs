//! Least squares with few terms: `y = constant + Σ coefficient · x`.
//!
//! Invariant: a term is only in the result if the data can tell it apart from the constant and
//! from the terms before it; one that they cannot support is named with the reason instead.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A fitted line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// The value where all terms are zero.
    pub constant: f64,
    /// Terms that the data support.
    pub terms: Vec<Term>,
    /// Terms that they do not.
    pub dropped: Vec<Dropped>,
    /// Part of the variation that is explained, 0 to 1.
    pub r2: f64,
    /// Observations.
    pub observations: usize,
}

/// A term of a fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// What it counts.
    pub name: String,
    /// Per one of them.
    pub coefficient: f64,
}

/// A term that is not in a fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// What it counts.
    pub name: String,
    /// Why it is not.
    pub reason: Reason,
}

/// Why a term is not in a fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It did not vary enough.
    Constant,
    /// There are not more observations than terms.
    TooFew,
    /// It moved together with these.
    Collinear(String),
    /// Its coefficient would be negative, and costs are not.
    Negative,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Constant => f.write_str("it hardly varied between the trials"),
            Reason::TooFew => f.write_str("there are too few trials for another term"),
            Reason::Collinear(with) => write!(f, "it moved together with {with} in all trials"),
            Reason::Negative => f.write_str("it is too small to be seen"),
        }
    }
}

impl Fit {
    /// Coefficient of a term, if it is in the fit.
    #[must_use]
    pub fn coefficient(&self, name: &str) -> Option<f64> {
        self.terms.iter().find(|term| term.name == name).map(|term| term.coefficient)
    }
}

/// A column of observations with its name.
pub(super) struct Column<'a> {
    pub(super) name: &'a str,
    pub(super) values: Vec<f64>,
}

/// Fits `y` to the columns, the most important first; all as long as `y`. Nothing with fewer than
/// three observations. A coefficient that comes out negative belongs to a cost that cannot be
/// negative: its term is dropped, and the rest fitted again.
pub(super) fn fit(y: &[f64], columns: &[Column<'_>]) -> Option<Fit> {
    if y.len() < FEWEST_OBSERVATIONS {
        return None;
    }
    let mut dropped = Vec::new();
    let mut usable: Vec<&Column<'_>> = columns.iter().collect();
    loop {
        let basis = Basis::new(&mut usable, y.len(), &mut dropped);
        let coefficients = basis.solve(y);
        let Some(negative) = coefficients.iter().position(|value| *value < 0.0) else {
            return Some(conclude(y, &usable, &coefficients, dropped));
        };
        let column = usable.remove(negative);
        dropped.push(Dropped { name: column.name.to_owned(), reason: Reason::Negative });
    }
}

fn conclude(y: &[f64], columns: &[&Column<'_>], by: &[f64], dropped: Vec<Dropped>) -> Fit {
    let means: f64 = columns.iter().zip(by).map(|(column, by)| mean(&column.values) * by).sum();
    let constant = mean(y) - means;
    let predicted = |row: usize| {
        constant + columns.iter().zip(by).map(|(column, by)| column.values[row] * by).sum::<f64>()
    };
    let residual: f64 = y.iter().enumerate().map(|(row, y)| (y - predicted(row)).powi(2)).sum();
    let total: f64 = y.iter().map(|value| (value - mean(y)).powi(2)).sum();
    let r2 = if total > 0.0 { (1.0 - residual / total).max(0.0) } else { 1.0 };
    let terms = columns.iter().zip(by);
    let terms =
        terms.map(|(column, by)| Term { name: column.name.to_owned(), coefficient: *by }).collect();
    Fit { constant, terms, dropped, r2, observations: y.len() }
}

/// Columns without their means, made orthogonal one after another (Gram-Schmidt).
struct Basis {
    directions: Vec<Vec<f64>>,
    /// `projections[i][j]`: how much of direction `j` is in column `i`, for `j < i`.
    projections: Vec<Vec<f64>>,
}

impl Basis {
    /// Of the columns that can be told apart; the others are taken out of `columns`.
    fn new(columns: &mut Vec<&Column<'_>>, rows: usize, dropped: &mut Vec<Dropped>) -> Basis {
        let mut basis = Basis { directions: Vec::new(), projections: Vec::new() };
        let mut kept: Vec<&str> = Vec::new();
        columns.retain(|column| {
            let reason = match basis.admit(&column.values, rows) {
                Ok(()) => {
                    kept.push(column.name);
                    return true;
                }
                Err(Refused::Constant) => Reason::Constant,
                Err(Refused::TooFew) => Reason::TooFew,
                Err(Refused::Collinear) => Reason::Collinear(kept.join(" and ")),
            };
            dropped.push(Dropped { name: column.name.to_owned(), reason });
            false
        });
        basis
    }

    fn admit(&mut self, values: &[f64], rows: usize) -> Result<(), Refused> {
        let centre = mean(values);
        let mut rest: Vec<f64> = values.iter().map(|value| value - centre).collect();
        let own = norm(&rest);
        let scale = norm(values);
        if own.is_nan() || own <= SMALLEST_SPREAD * scale {
            return Err(Refused::Constant);
        }
        let mut projections = Vec::new();
        for direction in &self.directions {
            let along = dot(&rest, direction) / dot(direction, direction);
            rest.iter_mut().zip(direction).for_each(|(rest, part)| *rest -= along * part);
            projections.push(along);
        }
        if norm(&rest) <= SMALLEST_OWN_PART * own {
            return Err(Refused::Collinear);
        }
        // A constant, the terms so far, this one, and an observation that could contradict them.
        if rows < self.directions.len() + 3 {
            return Err(Refused::TooFew);
        }
        self.directions.push(rest);
        self.projections.push(projections);
        Ok(())
    }

    fn solve(&self, y: &[f64]) -> Vec<f64> {
        let centre = mean(y);
        let mut rest: Vec<f64> = y.iter().map(|value| value - centre).collect();
        let mut along = Vec::new();
        for direction in &self.directions {
            let part = dot(&rest, direction) / dot(direction, direction);
            rest.iter_mut().zip(direction).for_each(|(rest, value)| *rest -= part * value);
            along.push(part);
        }
        // Back from the directions to the columns they were made of.
        for column in (0..along.len()).rev() {
            for (earlier, projection) in self.projections[column].iter().enumerate() {
                along[earlier] -= along[column] * projection;
            }
        }
        along
    }
}

enum Refused {
    Constant,
    Collinear,
    TooFew,
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

fn norm(values: &[f64]) -> f64 {
    dot(values, values).sqrt()
}

const FEWEST_OBSERVATIONS: usize = 3;
/// Relative to its size: what varies less says nothing about cost.
const SMALLEST_SPREAD: f64 = 0.02;
/// Of a column's variation, what earlier columns do not explain. Below it, coefficients are noise.
const SMALLEST_OWN_PART: f64 = 0.05;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn column(name: &str, values: impl IntoIterator<Item = f64>) -> Column<'_> {
        Column { name, values: values.into_iter().collect() }
    }

    #[test]
    fn terms_that_cannot_be_supported_are_named() {
        let x = [1.0, 2.0, 4.0, 8.0, 16.0];
        let y: Vec<f64> = x.iter().map(|x| 3.0 + 2.0 * x).collect();
        let columns = [
            column("x", x),
            column("same", x.map(|x| 5.0 * x + 1.0)),
            column("still", [7.0; 5]),
            column("down", [0.0, 1.0, 0.0, 1.0, 0.0]),
        ];
        let fit = fit(&y, &columns).expect("fits");
        assert!((fit.constant - 3.0).abs() < 1e-9 && fit.r2 > 0.999_999, "{fit:?}");
        assert!((fit.coefficient("x").expect("kept") - 2.0).abs() < 1e-9);
        let dropped: Vec<&str> = fit.dropped.iter().map(|term| term.name.as_str()).collect();
        assert!(dropped.contains(&"same") && dropped.contains(&"still"), "{dropped:?}");
    }

    #[test]
    fn a_negative_cost_is_dropped() {
        let y = [10.0, 9.0, 8.0, 7.0];
        let fit = fit(&y, &[column("x", [1.0, 2.0, 3.0, 4.0])]).expect("fits");
        assert_eq!((fit.terms.len(), fit.dropped.len(), fit.constant), (0, 1, 8.5));
        assert_eq!(fit.r2, 0.0);
    }

    #[test]
    fn too_few() {
        assert_eq!(fit(&[1.0, 2.0], &[column("x", [1.0, 2.0])]), None);
        let three = [column("x", [1.0, 2.0, 4.0]), column("z", [1.0, 0.0, 5.0])];
        let fit = fit(&[1.0, 2.0, 4.0], &three).expect("fits");
        assert_eq!(fit.dropped[0].reason, Reason::TooFew, "{fit:?}");
    }

    proptest! {
        #[test]
        fn a_line_is_found_again(
            a in 0.0f64..10.0,
            b in 0.01f64..10.0,
            c in 0.01f64..10.0,
            rows in prop::collection::vec((0.0f64..100.0, 0.0f64..100.0), 8..30),
        ) {
            let y: Vec<f64> = rows.iter().map(|(x, z)| a + b * x + c * z).collect();
            let columns = [
                column("x", rows.iter().map(|row| row.0)),
                column("z", rows.iter().map(|row| row.1)),
            ];
            let fit = fit(&y, &columns).expect("fits");
            if fit.dropped.is_empty() {
                prop_assert!((fit.constant - a).abs() < 1e-6, "{:?}", fit);
                prop_assert!((fit.coefficient("x").unwrap() - b).abs() < 1e-6, "{:?}", fit);
                prop_assert!((fit.coefficient("z").unwrap() - c).abs() < 1e-6, "{:?}", fit);
            }
        }
    }
}
