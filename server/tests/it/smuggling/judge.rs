//! What must hold behind a proxy.

use super::case::Case;
use super::proxies::counted;
use super::proxy::{Kind, Seen};

/// What became of a case behind a proxy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Judged {
    /// What the client saw.
    pub(super) statuses: Vec<u16>,
    /// How many requests of the case the server ran.
    pub(super) taken: usize,
    /// The marker was one of them, and was stored.
    pub(super) marker: bool,
}

/// The server has run nothing that the proxy did not send on, and nothing more often.
pub(super) fn no_request_from_nowhere(kind: Kind, sent_on: &[Seen], taken: &[Seen]) {
    assert!(taken.len() > 100, "{kind:?}: the logs are empty: {taken:?}");
    let sent_on = counted(sent_on);
    let mut wrong = Vec::new();
    for (seen, count) in counted(taken) {
        let sent = sent_on.get(seen).copied().unwrap_or(0);
        if count > sent {
            wrong.push(format!("{} {}: run {count}, sent on {sent}", seen.method, seen.path));
        }
    }
    assert!(wrong.is_empty(), "{kind:?} has not seen these:\n{}", wrong.join("\n"));
}

/// What a case appends it appends once, and so does its marker.
pub(super) fn at_most_once(kind: Kind, case: &Case, [stream, marker]: [usize; 2]) {
    // Whatever a case appends is either one body, whose length the case gives away, or nothing.
    let most = case.bytes("c000").len();
    assert!(stream <= most && marker <= 1, "{kind:?}: {}: {stream}, {marker}", case.name);
}

#[test]
fn what_comes_from_nowhere_is_noticed() {
    let seen = |path: &str| Seen { method: "GET".into(), path: path.into() };
    let sent: Vec<Seen> = (0..200).map(|number| seen(&number.to_string())).collect();
    let result = |taken: Vec<Seen>| {
        std::panic::catch_unwind(|| no_request_from_nowhere(Kind::Nginx, &sent, &taken)).is_ok()
    };
    assert!(result(sent.clone()));
    assert!(result(sent[..150].to_vec()));
    assert!(!result([sent.clone(), vec![seen("7")]].concat()), "twice");
    assert!(!result([sent.clone(), vec![seen("x")]].concat()), "unseen");
}
