//! Log lines: to stderr, as text or as one JSON object a line.
//!
//! Deliberately absent: files and rotation, which the service manager does better.

use std::backtrace::Backtrace;
use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::{LogConfig, LogFormat};

/// The way to the filter of the subscriber that is installed.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Installs the process-wide subscriber. A second call changes nothing.
pub fn init(config: &LogConfig) {
    let (filter, handle) = reload::Layer::new(filter(config));
    // Whoever read the log may be gone, or its disk full: the server goes on.
    let lines = fmt::layer().log_internal_errors(false).with_writer(std::io::stderr);
    let lines = match config.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // The only error is that a subscriber is installed already, as in tests.
    if tracing_subscriber::registry().with(filter).with(lines).try_init().is_ok() {
        let _ = FILTER.set(handle);
    }
}

/// A panic is a bug: it is said in the format of the log, with the place and the way to it, before
/// the process or the thread ends.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = Backtrace::force_capture();
        tracing::error!(thread = thread.name(), place, %backtrace, "panic: {message}");
    }));
}

/// Lets other levels through from now on.
pub fn set_level(config: &LogConfig) -> Result<(), String> {
    let Some(handle) = FILTER.get() else { return Ok(()) };
    handle.reload(filter(config)).map_err(|error| error.to_string())
}

fn filter(config: &LogConfig) -> EnvFilter {
    // `Config` has parsed the directives once, so the fallback is never taken.
    EnvFilter::try_new(&config.level).unwrap_or_else(|_| EnvFilter::new("info"))
}
