//! Everything that is wrong with a configuration at once, and where each of its values comes from.
//!
//! The server stops at the first mistake; whoever writes a file wants to see all of them.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::raw::{KNOWN_KEYS, RawConfig};
use super::{Config, Machine, ServeArgs, resolve};

/// A file and flags, read but not judged.
pub struct Sources {
    path: Option<PathBuf>,
    file: RawConfig,
    flags: RawConfig,
    /// Of each key of the file by its dotted name.
    lines: HashMap<String, usize>,
    mistakes: Vec<ConfigError>,
}

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// Nobody has set it.
    Default,
    /// A line of the file.
    File(PathBuf, Option<usize>),
    /// The command line.
    Flag,
}

/// Something wrong, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// Where it was written.
    pub origin: Origin,
    /// What is wrong.
    pub error: ConfigError,
}

impl Sources {
    /// Reads the file that `args` names.
    pub fn read(args: &ServeArgs) -> Result<Sources, ConfigError> {
        let text = match &args.config {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                ConfigError::Unreadable { path: path.clone(), reason: error.to_string() }
            })?,
        };
        let (file, mistakes) = RawConfig::read(&text);
        let (path, flags) = (args.config.clone(), args.to_raw());
        Ok(Sources { path, file, flags, lines: lines_of(&text), mistakes })
    }

    /// The configuration, or all that is wrong with it, in the order of the lines.
    pub fn resolve(&self, machine: &Machine) -> Result<Config, Vec<Mistake>> {
        let mut mistakes: Vec<Mistake> =
            self.mistakes.iter().map(|error| self.mistake(error.clone())).collect();
        let mut raw = self.flags.clone().over(self.file.clone());
        loop {
            match resolve::resolve(&raw, machine) {
                Ok(config) if mistakes.is_empty() => return Ok(config),
                Ok(_) => break,
                Err(error) => {
                    // Without this value, the next mistake shows.
                    let is_set = match &error {
                        ConfigError::Value { field, .. } => {
                            raw.named(field).and_then(Option::take).is_some()
                        }
                        _ => false,
                    };
                    mistakes.push(self.mistake(error));
                    if !is_set {
                        break;
                    }
                }
            }
        }
        mistakes.sort_by_key(|mistake| match &mistake.origin {
            Origin::File(_, line) => (0, *line),
            Origin::Flag => (1, None),
            Origin::Default => (2, None),
        });
        Err(mistakes)
    }

    /// Where the value of a key comes from.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        let set = |raw: &RawConfig| raw.clone().named(key).is_some_and(|value| value.is_some());
        match &self.path {
            _ if set(&self.flags) => Origin::Flag,
            Some(path) if set(&self.file) => {
                Origin::File(path.clone(), self.lines.get(key).copied())
            }
            _ => Origin::Default,
        }
    }

    /// The configuration as TOML, each value with where it comes from.
    #[must_use]
    pub fn annotate(&self, config: &Config) -> String {
        let mut table = String::new();
        let mut out = String::new();
        for line in config.to_string().lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                table = format!("{name}.");
            }
            let key = line.split_once(" = ").map(|(key, _)| format!("{table}{key}"));
            match key {
                Some(key) => out.push_str(&format!("{line:<48}  # {}\n", self.origin(&key))),
                None => out.push_str(&format!("{line}\n")),
            }
        }
        out
    }

    fn mistake(&self, error: ConfigError) -> Mistake {
        let of_file = |key: Option<&str>| {
            let line = key.and_then(|key| self.lines.get(key).copied());
            self.path.clone().map_or(Origin::Default, |path| Origin::File(path, line))
        };
        let origin = match &error {
            ConfigError::Value { field, .. } => self.origin(field),
            ConfigError::UnknownKey { table, key, .. } if table.is_empty() => of_file(Some(key)),
            ConfigError::UnknownKey { table, key, .. } => of_file(Some(&format!("{table}.{key}"))),
            ConfigError::Unreadable { .. } | ConfigError::Syntax { .. } => of_file(None),
        };
        Mistake { origin, error }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Flag => f.write_str("flag"),
            Origin::File(path, Some(line)) => write!(f, "{}:{line}", path.display()),
            Origin::File(path, None) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.error)
    }
}

/// The line of every key, as far as the text can be parsed.
fn lines_of(text: &str) -> HashMap<String, usize> {
    let (document, _) = DeTable::parse_recoverable(text);
    let line = |start: usize| 1 + text[..start].bytes().filter(|byte| *byte == b'\n').count();
    let mut lines = HashMap::new();
    note_lines(document.get_ref(), "", &line, &mut lines);
    lines
}

fn note_lines(
    table: &DeTable<'_>,
    prefix: &str,
    line: &impl Fn(usize) -> usize,
    lines: &mut HashMap<String, usize>,
) {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        lines.insert(name.clone(), line(key.span().start));
        let is_table = KNOWN_KEYS.iter().any(|(table, _)| *table == name);
        if let (true, DeValue::Table(inner)) = (is_table, value.get_ref()) {
            note_lines(inner, &format!("{name}."), line, lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str, flags: RawConfig) -> Sources {
        let (file, mistakes) = RawConfig::read(text);
        let path = Some(PathBuf::from("t.toml"));
        Sources { path, file, flags, lines: lines_of(text), mistakes }
    }

    fn machine() -> Machine {
        Machine { cpus: vec![0, 1], descriptors: 4096 }
    }

    #[test]
    fn all_mistakes_with_their_lines() {
        let text =
            "lisen = 1\n\ncores = 9\ndurability = 'fast'\n[live]\n\nsse_lifetime = 1\nx = 2\n";
        let flags = RawConfig { io: Some("uring".into()), ..RawConfig::default() };
        let mistakes = sources(text, flags).resolve(&machine()).expect_err("wrong");
        let shown: Vec<String> = mistakes.iter().map(Mistake::to_string).collect();
        for (line, want) in shown.iter().zip([
            "t.toml:1: unknown key `lisen`",
            "t.toml:3: cores = 9",
            "t.toml:4: durability = \"fast\"",
            "t.toml:7: live.sse_lifetime = 1",
            "t.toml:8: unknown key `x` in table [live]",
            "flag: io = \"uring\"",
        ]) {
            assert!(line.starts_with(want), "{line}");
        }
        assert_eq!(shown.len(), 6, "{shown:?}");
    }

    #[test]
    fn a_relation_is_shown_at_the_value_that_breaks_it() {
        let text = "[storage]\nsegment_bytes = '1MiB'\n[limits]\nbody_timeout = '1s'\n";
        let mistakes = sources(text, RawConfig::default()).resolve(&machine()).expect_err("wrong");
        let shown: Vec<String> = mistakes.iter().map(Mistake::to_string).collect();
        assert!(shown[0].starts_with("t.toml:2: storage.segment_bytes"), "{shown:?}");
        assert!(shown[1].starts_with("t.toml:4: limits.body_timeout"), "{shown:?}");
    }

    #[test]
    fn text_that_is_not_toml() {
        let mistakes = sources("a = \nb = 2", RawConfig::default()).resolve(&machine());
        let mistakes = mistakes.expect_err("wrong");
        assert_eq!(mistakes.len(), 1);
        assert!(mistakes[0].to_string().contains("line 1"), "{}", mistakes[0]);
    }

    #[test]
    fn each_value_says_where_it_comes_from() {
        let flags = RawConfig { io: Some("epoll".into()), ..RawConfig::default() };
        let sources = sources("io = 'auto'\n[log]\nlevel = 'warn'\n", flags);
        let config = sources.resolve(&machine()).expect("right");
        let shown = sources.annotate(&config);
        let line = |key: &str| {
            shown.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned()
        };
        assert!(line("io = ").ends_with("# flag"), "{shown}");
        assert!(line("level = ").ends_with("# t.toml:3"), "{shown}");
        assert!(line("durability = ").ends_with("# default"), "{shown}");
        assert_eq!(Config::from_toml(&shown, &machine()).as_ref(), Ok(&config));
    }
}
