//! Why a configuration is refused: which field, which value, and what would be right.

use std::path::PathBuf;

use thiserror::Error;

/// A configuration that the server will not start with.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {reason}", path.display())]
    Unreadable {
        /// The file named by `--config`.
        path: PathBuf,
        /// The operating system's words.
        reason: String,
    },
    /// The file is not TOML.
    #[error("the configuration is not valid TOML: {reason}")]
    Syntax {
        /// The parser's words, with line and column.
        reason: String,
    },
    /// A key or table that does not exist.
    #[error("unknown key `{key}` in {}{}", table_name(table), nearest_name(nearest.as_deref()))]
    UnknownKey {
        /// The table it stands in; empty for the top level.
        table: String,
        /// The key.
        key: String,
        /// The closest name that exists in that table, or the dotted name of one elsewhere.
        nearest: Option<String>,
    },
    /// A value that does not fit its field.
    #[error("{field} = {value}: expected {expected}")]
    Value {
        /// The dotted name of the field.
        field: &'static str,
        /// The value as given.
        value: String,
        /// What would be right.
        expected: String,
    },
}

fn table_name(table: &str) -> String {
    if table.is_empty() { "the top level".to_owned() } else { format!("table [{table}]") }
}

fn nearest_name(nearest: Option<&str>) -> String {
    nearest.map_or(String::new(), |name| format!("; did you mean `{name}`?"))
}
