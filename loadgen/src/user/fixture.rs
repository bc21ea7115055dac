//! What the tests of this module share: a user, templates and answers.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Method;
use thalweg_proto::http1::{ResponseHead, ResponseHeadStatus, parse_response_head};

use super::{Context, Counter, Names, Variables};
use crate::plan::{Piece, Plan, Template};
use crate::schedule::{Rng, user_rng};

/// A user with its variables.
pub(super) struct User {
    pub(super) names: Names,
    pub(super) variables: Variables,
    rng: Rng,
    counter: Counter,
}

impl User {
    pub(super) fn new(variables: &[(&str, &str)]) -> User {
        let mut user = User {
            names: Names::default(),
            variables: Variables::default(),
            rng: user_rng(1, 0, 0),
            counter: Counter::new(1, 1),
        };
        variables.iter().for_each(|(name, value)| user.set(name, value.as_bytes()));
        user
    }

    pub(super) fn of(plan: &Plan) -> User {
        let names = Names::of(plan);
        let variables = Variables::new(&names);
        User { names, variables, ..User::new(&[]) }
    }

    pub(super) fn set(&mut self, name: &str, value: &[u8]) {
        let slot = self.names.slot(name);
        self.variables.set(slot, value);
    }

    pub(super) fn get(&mut self, name: &str) -> Option<String> {
        let slot = self.names.slot(name);
        self.variables.get(slot).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    pub(super) fn context(&mut self) -> Context<'_> {
        self.with_names().1
    }

    pub(super) fn with_names(&mut self) -> (&Names, Context<'_>) {
        let context = Context {
            variables: &mut self.variables,
            rng: &mut self.rng,
            user_number: 3,
            counter: &mut self.counter,
            now: &1_700_000_000_123,
        };
        (&self.names, context)
    }
}

/// Text with references to variables and nothing else.
pub(super) fn template(text: &str) -> Template {
    let mut parts = text.split("${");
    let mut pieces = vec![Piece::Text(parts.next().unwrap().to_owned())];
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap();
        pieces.push(Piece::Variable(name.to_owned()));
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Template(pieces)
}

/// A plan that does nothing.
pub(super) fn plan(variables: &[(&str, &str)]) -> Plan {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), template(value)));
    Plan {
        name: "plan".to_owned(),
        seed: 1,
        target: "http://localhost/v1/stream".to_owned(),
        transport: crate::plan::Transport::default(),
        warm_up: Duration::ZERO,
        drain: Duration::ZERO,
        connect_rate: 1.0,
        timeout: Duration::from_secs(1),
        fields: Vec::new(),
        bearer: None,
        variables: variables.collect::<BTreeMap<_, _>>(),
        streams: Vec::new(),
        data: Vec::new(),
        groups: Vec::new(),
        thresholds: Vec::new(),
    }
}

/// The head of an answer; `fields` are lines.
pub(super) fn head(status: u16, fields: &str) -> ResponseHead {
    let text = format!("HTTP/1.1 {status} X\r\n{fields}\r\n");
    match parse_response_head(text.as_bytes(), &Method::GET).unwrap() {
        ResponseHeadStatus::Complete(head, _) => head,
        ResponseHeadStatus::Incomplete => panic!("{text}"),
    }
}
