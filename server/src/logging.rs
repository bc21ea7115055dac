//! Log lines: to stderr, as text or as one JSON object a line.
//!
//! Deliberately absent: files and rotation, which the service manager does better.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Installs the process-wide subscriber. A second call changes nothing.
pub fn init(config: &LogConfig) {
    // `Config` has parsed the directives once, so the fallback is never taken.
    let filter = EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Whoever read the log may be gone, or its disk full: the server goes on.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // The only error is that a subscriber is installed already, as in tests.
    let _ = match config.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
