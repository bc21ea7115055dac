//! What somebody may do, and to which streams: `read,append:rooms/*`.

use thalweg_proto::glob::Glob;
use thalweg_proto::path::StreamPath;

/// Something that can be allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// PUT.
    Create,
    /// POST.
    Append,
    /// GET and HEAD.
    Read,
    /// DELETE.
    Delete,
    /// What concerns more than one stream: the listing, subscriptions.
    Admin,
}

/// Actions on the streams of a pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    /// One bit for each action.
    actions: u8,
    pattern: Glob,
}

impl Action {
    const ALL: [(&'static str, Action); 5] = [
        ("create", Action::Create),
        ("append", Action::Append),
        ("read", Action::Read),
        ("delete", Action::Delete),
        ("admin", Action::Admin),
    ];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Action::ALL[self as usize].0
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl Scope {
    /// Reads `ACTION[,ACTION...]:PATTERN`; says what would be right otherwise.
    pub fn parse(text: &str) -> Result<Scope, String> {
        let expected = |what: &str| {
            format!(
                "scope {text:?}: {what}; expected actions (create, append, read, delete, admin, or \
                 *), a colon and a pattern of stream paths, such as \"read,append:rooms/*\""
            )
        };
        let (words, pattern) = text.split_once(':').ok_or_else(|| expected("there is no colon"))?;
        let mut actions = 0;
        for word in words.split(',') {
            let known = Action::ALL.iter().find(|(known, _)| *known == word);
            actions |= match (word, known) {
                ("*", _) => Action::ALL.iter().fold(0, |bits, (_, action)| bits | action.bit()),
                (_, Some((_, action))) => action.bit(),
                _ => return Err(expected(&format!("{word:?} is no action"))),
            };
        }
        let pattern =
            Glob::parse(pattern).map_err(|_| expected(&format!("{pattern:?} is no pattern")))?;
        Ok(Scope { actions, pattern })
    }

    /// Whether it allows an action on a stream.
    #[must_use]
    pub fn allows(&self, action: Action, path: &StreamPath) -> bool {
        self.actions & action.bit() != 0 && self.pattern.matches(path.as_str())
    }

    /// Whether it allows what concerns any streams at all.
    #[must_use]
    pub fn allows_everywhere(&self, action: Action) -> bool {
        self.actions & action.bit() != 0 && self.pattern.as_str() == "**"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_has_its_place() {
        for (index, (word, action)) in Action::ALL.iter().enumerate() {
            assert_eq!((*action as usize, action.word()), (index, *word));
        }
    }

    #[test]
    fn scopes_allow_what_they_say() {
        let check = |scope: &str, action, path: &str, want: bool| {
            let path = StreamPath::new(path).unwrap();
            let got = Scope::parse(scope).unwrap().allows(action, &path);
            assert_eq!(got, want, "{scope} {action:?} {path}");
        };
        check("read:a", Action::Read, "a", true);
        check("read:a", Action::Append, "a", false);
        check("read:a", Action::Read, "a/b", false);
        check("read,append:rooms/*", Action::Append, "rooms/1", true);
        check("read,append:rooms/*", Action::Append, "rooms/1/x", false);
        check("*:**", Action::Delete, "any/thing", true);
        check("create:users/**", Action::Create, "users/1/log", true);
        assert!(Scope::parse("admin:**").unwrap().allows_everywhere(Action::Admin));
        assert!(!Scope::parse("admin:a/**").unwrap().allows_everywhere(Action::Admin));
        assert!(!Scope::parse("read:**").unwrap().allows_everywhere(Action::Admin));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, want) in [
            ("read", "no colon"),
            ("write:a", "\"write\" is no action"),
            (":a", "\"\" is no action"),
            ("read:", "\"\" is no pattern"),
            ("read:/a", "is no pattern"),
            ("read:__ds/x", "is no pattern"),
        ] {
            let error = Scope::parse(text).unwrap_err();
            assert!(error.contains(want), "{text}: {error}");
        }
    }
}
