//! Asks `tests/jmeter/judge.py`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use serde::Deserialize;

/// What JMeter counted.
#[derive(Deserialize, Debug)]
pub(crate) struct Verdict {
    pub(crate) total: Count,
    pub(crate) labels: BTreeMap<String, Count>,
}

/// Samples of one label.
#[derive(Deserialize, Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Count {
    pub(crate) samples: u64,
    pub(crate) errors: u64,
}

/// `None`, and a word why, where there is no JMeter.
pub(crate) fn judge(arguments: &[&OsStr]) -> Option<Verdict> {
    if let Some(reason) = MISSING.get() {
        return skipped(reason);
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/jmeter/judge.py");
    let output = match Command::new("python3").arg(script).args(arguments).output() {
        Ok(output) => output,
        Err(error) => {
            return skipped(&format!("python3: {error}"));
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) {
        return skipped(said.trim());
    }
    assert!(output.status.success(), "{said}");
    Some(serde_json::from_slice(&output.stdout).expect("counts"))
}

/// Says it past the test harness, which shows the output of failed tests only. `./test` repeats it.
fn skipped(reason: &str) -> Option<Verdict> {
    // To find out that there is no network can take long; once is enough.
    let reason = MISSING.get_or_init(|| reason.to_owned());
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("jmeter");
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {reason}");
    None
}

/// Why there is no JMeter.
static MISSING: OnceLock<String> = OnceLock::new();
