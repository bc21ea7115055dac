//! Which program this is: for `--version`, the banner, the log, metrics and telemetry.

/// The version.
pub const NUMBER: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, as `build.rs` found it, or `unknown`.
pub const COMMIT: &str = env!("THALWEG_COMMIT");

/// All of it in a line, with how it was built.
pub const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("THALWEG_COMMIT"),
    ", ",
    env!("THALWEG_PROFILE"),
    ", features: ",
    env!("THALWEG_FEATURES"),
    ", ",
    env!("THALWEG_TARGET"),
    ")"
);
