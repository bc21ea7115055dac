use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::plan::{
    Condition, DataSet, ExtractFrom, Extraction, Group, Load, OnError, Operator, Sampler,
    SamplerKind,
};
use crate::user::fixture::{User, plan, template};

#[test]
fn variables_of_a_plan() {
    let check = |variables: &[(&str, &str)], want: &[(&str, &str)]| {
        let mut user = User::of(&plan(variables));
        let (names, mut context) = user.with_names();
        names.begin(&mut context);
        for (name, value) in want {
            assert_eq!(user.get(name).as_deref(), Some(*value), "{name} in {variables:?}");
        }
    };
    check(&[("a", "1"), ("b", "")], &[("a", "1"), ("b", "")]);
    // In whatever order they refer to one another.
    check(&[("a", "${b}/${c}"), ("b", "<${c}>"), ("c", "3")], &[("a", "<3>/3"), ("b", "<3>")]);
    // What cannot be known stays as it is written.
    check(&[("a", "${nothing}")], &[("a", "${nothing}")]);
    check(&[("a", "x${a}")], &[("a", "x${a}")]);
    check(&[("a", "${b}"), ("b", "(${a})"), ("c", "1")], &[("a", "${b}"), ("b", "(${b})")]);
}

#[test]
fn a_user_begins_afresh() {
    let mut user = User::of(&plan(&[("a", "1")]));
    user.set("a", b"changed");
    user.set("later", b"kept");
    let (names, mut context) = user.with_names();
    names.begin(&mut context);
    assert_eq!(user.get("a").as_deref(), Some("1"));
    assert_eq!(user.get("later"), None);
}

#[test]
fn every_name_of_a_plan_has_a_slot() {
    let mut plan = plan(&[("a", "1")]);
    plan.data.push(DataSet {
        variables: vec!["b".to_owned()],
        rows: Vec::new(),
        file: PathBuf::new(),
        recycle: false,
    });
    let sample = Step::Sample(Box::new(Sampler {
        label: String::new(),
        kind: SamplerKind::Head { streams: 0 },
        fields: Vec::new(),
        assertions: Vec::new(),
        extractions: vec![Extraction {
            variable: "c".to_owned(),
            from: ExtractFrom::Header("x".to_owned()),
            default: String::new(),
        }],
    }));
    let text = template("");
    let condition = Condition { left: text.clone(), operator: Operator::Equal, right: text };
    let steps = vec![Step::If { condition, steps: vec![sample] }];
    let steps = vec![Step::Loop { times: None, steps }];
    plan.groups.push(Group {
        name: String::new(),
        load: Load::Closed { stages: Vec::new(), iterations: None },
        delay: Duration::ZERO,
        steps,
        on_error: OnError::Continue,
    });
    let mut names = Names::of(&plan);
    let count = names.slots.len();
    let slots = ["a", "b", "c"].map(|name| names.slot(name));
    assert_eq!((count, names.slots.len()), (3, 3));
    assert!(slots[0] != slots[1] && slots[1] != slots[2] && slots[0] != slots[2]);
    assert_eq!(names.slot("a"), slots[0]);
}
