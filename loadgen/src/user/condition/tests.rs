use super::*;
use crate::plan::{Piece, Template};
use crate::user::fixture::{User, template};

#[test]
fn comparisons() {
    use Ordering::{Equal, Greater, Less};
    let check = |left: &str, right: &str, want: Ordering| {
        let mut user = User::new(&[("left", left), ("right", right)]);
        let operators = [
            (Operator::Equal, want == Equal),
            (Operator::NotEqual, want != Equal),
            (Operator::Less, want == Less),
            (Operator::LessOrEqual, want != Greater),
            (Operator::Greater, want == Greater),
            (Operator::GreaterOrEqual, want != Less),
        ];
        for (operator, want) in operators {
            // As constants, as variables, and as text that has to be put together.
            let sides = [(left, right), ("${left}", "${right}"), ("${left}${no}", "${right}${no}")];
            for (at, (left, right)) in sides.into_iter().enumerate() {
                user.set("no", b"");
                let (left, right) = (template(left), template(right));
                let condition = Condition { left, operator, right };
                let compiled = CompiledCondition::new(&condition, &mut user.names);
                assert_eq!(holds(&compiled, &mut user.context()), want, "{condition:?} ({at})");
            }
        }
    };
    check("a", "a", Equal);
    check("a", "b", Less);
    check("", "", Equal);
    check("", "0", Less);
    // Numbers as numbers.
    check("9", "10", Less);
    check(" 9 ", "9.0", Equal);
    check("1e3", "1000", Equal);
    check("-1", "-2", Greater);
    check("007", "7", Equal);
    check("9007199254740993", "9007199254740992", Greater);
    check("18446744073709551615", "18446744073709551616", Less);
    // Unless one side is none.
    check("9", "10x", Greater);
    check("nan", "nan", Equal);
    check("inf", "5", Greater);
    check("infinity", "inf", Greater);
    check("1_0", "10", Greater);
    check("true", "true", Equal);
}

#[test]
fn a_variable_without_a_value_is_its_reference() {
    let mut user = User::new(&[]);
    let condition = Condition {
        left: template("${no}"),
        operator: Operator::Equal,
        right: Template(vec![Piece::Text("${no}".to_owned())]),
    };
    let compiled = CompiledCondition::new(&condition, &mut user.names);
    assert!(holds(&compiled, &mut user.context()));
    user.set("no", b"x");
    assert!(!holds(&compiled, &mut user.context()));
}
