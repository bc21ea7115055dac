//! Says which commit this is, for `thalweg --version`.
//!
//! A packager that builds without a repository sets `THALWEG_COMMIT`. Builds for development do not
//! look: they would be built anew after each commit.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=THALWEG_COMMIT");
    let profile = env::var("PROFILE").unwrap_or_default();
    let given = env::var("THALWEG_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = given.or_else(|| (profile == "release").then(of_repository).flatten());
    let features = ["planted-bugs", "uncounted"].iter().filter(|feature| {
        let name = feature.to_uppercase().replace('-', "_");
        env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
    });
    let features: Vec<&str> = features.copied().collect();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(" ") };
    println!("cargo::rustc-env=THALWEG_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
    println!("cargo::rustc-env=THALWEG_PROFILE={profile}");
    println!("cargo::rustc-env=THALWEG_FEATURES={features}");
    println!("cargo::rustc-env=THALWEG_TARGET={}", env::var("TARGET").unwrap_or_default());
}

/// The commit of the repository that this directory is in, and when to look again.
fn of_repository() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"]).filter(|commit| !commit.is_empty())
}
