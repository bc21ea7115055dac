//! Findings as text and as JSON.

use std::path::Path;

use serde_json::{Value, json};
use thalweg_storage::inspect::{Affected, Finding, Inspection, Severity};

/// Streams that are listed for one finding in a text; the JSON has all.
const LISTED_STREAMS: usize = 20;

/// A finding on lines of its own.
pub(super) fn text(finding: &Finding) -> String {
    let mut text = format!("{}  {finding}\n", word(finding.severity));
    for affected in finding.affected.iter().take(LISTED_STREAMS) {
        text.push_str(&format!("          {affected}\n"));
    }
    let more = finding.affected.len().saturating_sub(LISTED_STREAMS);
    if more > 0 {
        text.push_str(&format!("          and {more} more\n"));
    }
    text
}

pub(super) fn json(finding: &Finding) -> Value {
    json!({
        "severity": word(finding.severity).trim_end(),
        "kind": finding.kind,
        "file": finding.file.display().to_string(),
        "offset": finding.offset,
        "what": finding.what,
        "affected": affected(&finding.affected),
    })
}

pub(super) fn affected(affected: &[Affected]) -> Vec<Value> {
    let entry = |affected: &Affected| {
        json!({
            "stream": affected.id.0,
            "path": affected.path.as_ref().map(|path| path.as_str()),
            "from": affected.from,
            "to": affected.to,
        })
    };
    affected.iter().map(entry).collect()
}

/// How many of the findings are damage.
pub(super) fn damages(found: &Inspection) -> u64 {
    let is_damage = |finding: &&Finding| finding.severity == Severity::Damage;
    found.findings.iter().filter(is_damage).count() as u64
}

/// The format as a number, or a word where it cannot be read.
pub(super) fn format_of(found: &Inspection) -> String {
    found.format.as_ref().map_or("unknown".to_owned(), |format| format.version.to_string())
}

/// The directory as it is given in JSON.
pub(super) fn directory(dir: &Path) -> String {
    dir.display().to_string()
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note  ",
        Severity::Damage => "damage",
    }
}
