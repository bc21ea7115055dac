//! Asks `tests/jmeter/judge.py`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

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
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/jmeter/judge.py");
    let output = match Command::new("python3").arg(script).args(arguments).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: python3: {error}");
            return None;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(77) {
        eprintln!("skipped: {}", said.trim());
        return None;
    }
    assert!(output.status.success(), "{said}");
    Some(serde_json::from_slice(&output.stdout).expect("counts"))
}
