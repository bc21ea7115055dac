//! Which crate and which version a binary is.

use std::path::Path;

/// The crate that `cargo install` made a binary of, and its version: it keeps a list beside `bin`.
pub(super) fn installed_crate(binary: &Path) -> Option<(String, String)> {
    let list = binary.parent()?.parent()?.join(".crates.toml");
    crate_of(&std::fs::read_to_string(list).ok()?, binary.file_name()?.to_str()?)
}

/// A line is `"NAME VERSION (SOURCE)" = ["BINARY", "BINARY"]`.
fn crate_of(list: &str, binary: &str) -> Option<(String, String)> {
    let quoted = format!("\"{binary}\"");
    let line = list.lines().find_map(|line| {
        let (what, binaries) = line.split_once(" = ")?;
        binaries.contains(&quoted).then_some(what)
    })?;
    let mut words = line.trim_matches('"').split(' ');
    Some((words.next()?.to_owned(), words.next()?.to_owned()))
}

/// What follows `before` in the first line that begins with it, up to a space.
pub(super) fn after(text: &str, before: &str) -> Option<String> {
    let rest = text.lines().find_map(|line| line.strip_prefix(before))?;
    rest.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_of_binaries() {
        let list = "[v1]\n\
            \"durable-streams 0.1.5 (registry+https://example.org/index)\" = [\"durable-streams-server\"]\n\
            \"two 1.0.0 (path+file:///x)\" = [\"a\", \"b\"]\n";
        let check = |binary: &str, want: Option<(&str, &str)>| {
            let want = want.map(|(name, version)| (name.to_owned(), version.to_owned()));
            assert_eq!(crate_of(list, binary), want, "{binary}");
        };
        check("durable-streams-server", Some(("durable-streams", "0.1.5")));
        check("b", Some(("two", "1.0.0")));
        check("server", None);
        assert_eq!(crate_of("", "a"), None);
    }

    #[test]
    fn the_list_is_beside_the_directory_of_binaries() {
        let root = tempfile::tempdir().unwrap();
        let binary = root.path().join("bin/a");
        assert_eq!(installed_crate(&binary), None);
        std::fs::write(root.path().join(".crates.toml"), "\"x 2.0.0 (y)\" = [\"a\"]\n").unwrap();
        assert_eq!(installed_crate(&binary), Some(("x".to_owned(), "2.0.0".to_owned())));
    }

    #[test]
    fn words_after_a_prefix() {
        assert_eq!(after("a\nursula 0.11.5 (x)\n", "ursula "), Some("0.11.5".to_owned()));
        assert_eq!(
            after("nginx version: nginx/1.22.1\n", "nginx version: nginx/").unwrap(),
            "1.22.1"
        );
        assert_eq!(after("other 1\n", "ursula "), None);
        assert_eq!(after("ursula ", "ursula "), None);
    }
}
