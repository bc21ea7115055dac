//! Comparisons of texts and of numbers.

use std::cmp::Ordering;

use super::names::Names;
use super::template::{Compiled, Context, compile, render};
use crate::plan::{Condition, Operator};

/// A condition whose names are slots.
#[derive(Clone, Debug)]
pub struct CompiledCondition {
    left: Compiled,
    operator: Operator,
    right: Compiled,
}

impl CompiledCondition {
    /// Prepares a condition.
    #[must_use]
    pub fn new(condition: &Condition, names: &mut Names) -> CompiledCondition {
        CompiledCondition {
            left: compile(&condition.left, names),
            operator: condition.operator,
            right: compile(&condition.right, names),
        }
    }
}

/// Whether a condition holds. Numbers compare as numbers when both sides are; other texts byte by
/// byte.
pub fn holds(condition: &CompiledCondition, context: &mut Context<'_>) -> bool {
    let CompiledCondition { left, operator, right } = condition;
    let variables = &*context.variables;
    if let (Some(left), Some(right)) = (left.borrowed(variables), right.borrowed(variables)) {
        return satisfies(compare(left, right), *operator);
    }
    let (mut left_text, mut right_text) = (Vec::new(), Vec::new());
    render(left, context, &mut left_text);
    render(right, context, &mut right_text);
    satisfies(compare(&left_text, &right_text), *operator)
}

/// Whether an order is what an operator asks for.
pub(super) fn satisfies(order: Ordering, operator: Operator) -> bool {
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
    }
}

fn compare(left: &[u8], right: &[u8]) -> Ordering {
    numbers(left, right).unwrap_or_else(|| left.cmp(right))
}

/// The order of two texts as numbers, if both are.
pub(super) fn numbers(left: &[u8], right: &[u8]) -> Option<Ordering> {
    let (left, right) = (digits(left)?, digits(right)?);
    // Whole numbers exactly: offsets and times lie beyond what a float tells apart.
    if let (Ok(left), Ok(right)) = (left.parse::<i128>(), right.parse::<i128>()) {
        return Some(left.cmp(&right));
    }
    left.parse::<f64>().ok()?.partial_cmp(&right.parse::<f64>().ok()?)
}

/// Text that may be a number; `nan` and `inf` are words.
fn digits(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let last = text.bytes().last()?;
    (last.is_ascii_digit() || last == b'.').then_some(text)
}

#[cfg(test)]
mod tests;
