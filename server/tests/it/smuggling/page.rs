//! The table of cases in `docs/hardening.md`. `THALWEG_WRITE_PAGE=1` writes it.

use std::fs;
use std::path::{Path, PathBuf};

use super::case::{self, Case};
use super::judge::Judged;
use super::proxy::Kind;

const BEGIN: &str = "<!-- cases: written by server/tests/it/smuggling/page.rs -->";
const END: &str = "<!-- end of cases -->";
/// The columns before those of the proxies.
const OWN_COLUMNS: usize = 4;

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/hardening.md")
}

fn read() -> String {
    fs::read_to_string(path()).expect("the page")
}

/// The lines between the marks.
fn shown(page: &str) -> Vec<&str> {
    let (_, rest) = page.split_once(BEGIN).expect("where the table begins");
    let (table, _) = rest.split_once(END).expect("where the table ends");
    table.lines().filter(|line| line.starts_with("| ")).collect()
}

/// What the table says of a case itself.
fn own(case: &Case) -> String {
    let answers: Vec<String> = case
        .answers
        .iter()
        .map(|(status, code)| match code.as_str() {
            "" => status.to_string(),
            code => format!("{status} `{code}`"),
        })
        .collect();
    let answers = if answers.is_empty() { "none".to_owned() } else { answers.join(", ") };
    let ends = if case.closes { "; closes" } else { "" };
    let marker = if case.marker { "; runs" } else { "" };
    format!("| `{}` | {} | {} | {answers}{ends}{marker} |", case.name, case.about, case.rule)
}

fn behind(judged: &Judged) -> String {
    let statuses: Vec<String> = judged.statuses.iter().map(u16::to_string).collect();
    let statuses = if statuses.is_empty() { "none".to_owned() } else { statuses.join(", ") };
    let marker = if judged.marker { "; runs" } else { "" };
    format!(" {statuses} ({}){marker} |", judged.taken)
}

/// The table shows what was found, for versions of the proxies that it is about. On a busy machine a
/// proxy gives up on something else now and then: what was found otherwise is looked at `again`, and
/// is wrong if it is otherwise both times.
pub(super) fn check(found: &[(Kind, String, Vec<Judged>)], again: impl Fn(Kind) -> Vec<Judged>) {
    let page = read();
    if std::env::var_os("THALWEG_WRITE_PAGE").is_some() {
        assert_eq!(found.len(), Kind::ALL.len(), "all proxies are needed to write the page");
        fs::write(path(), rewritten(&page, found)).expect("written");
        return;
    }
    let rows = shown(&page);
    for (index, (kind, version, judged)) in found.iter().enumerate() {
        let column = OWN_COLUMNS + Kind::ALL.iter().position(|one| one == kind).unwrap_or(index);
        let title = format!("{} {version}", kind.program());
        if cell(rows[0], column).as_deref() != Some(&title) {
            println!("skipped: the table of answers is not about {title}");
            continue;
        }
        let mut wrong = differing(&rows, column, judged);
        if !wrong.is_empty() {
            println!("{title}, once not as the page says: {wrong:?}");
            let still = differing(&rows, column, &again(*kind));
            wrong.retain(|(name, _)| still.iter().any(|(other, _)| other == name));
        }
        assert!(wrong.is_empty(), "{title}, not as the page says: {wrong:#?}");
    }
}

fn cell(row: &str, column: usize) -> Option<String> {
    row.split('|').nth(column + 1).map(str::trim).map(str::to_owned)
}

/// Cases of which the table says something else: their names, and what was found.
fn differing(rows: &[&str], column: usize, judged: &[Judged]) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    for (case, judged) in case::all().iter().zip(judged) {
        let start = format!("| `{}` |", case.name);
        let row = rows.iter().find(|row| row.starts_with(&start)).expect("a row");
        let found = behind(judged);
        let found = found.trim_end_matches('|').trim();
        // Two answers, if it depends on how far the proxy is when it sees what is odd.
        let known =
            cell(row, column).is_some_and(|cell| cell.split(" or ").any(|one| one == found));
        if !known {
            wrong.push((case.name.to_string(), found.to_owned()));
        }
    }
    wrong
}

fn rewritten(page: &str, found: &[(Kind, String, Vec<Judged>)]) -> String {
    let (before, rest) = page.split_once(BEGIN).expect("where the table begins");
    let (_, after) = rest.split_once(END).expect("where the table ends");
    let titles: String =
        found.iter().map(|(kind, version, _)| format!(" {} {version} |", kind.program())).collect();
    let mut out = String::new();
    let mut number = 0;
    for (title, cases) in case::groups() {
        out.push_str(&format!("\n### {title}\n\n"));
        out.push_str(&format!("| case | what is odd | RFC | Thalweg |{titles}\n"));
        out.push_str(&format!("|---|---|---|---|{}\n", "---|".repeat(found.len())));
        for case in cases {
            out.push_str(&own(&case));
            found.iter().for_each(|(_, _, judged)| out.push_str(&behind(&judged[number])));
            out.push('\n');
            number += 1;
        }
    }
    format!("{before}{BEGIN}\n{out}\n{END}{after}")
}

#[test]
fn the_page_shows_every_case() {
    let page = read();
    let rows = shown(&page);
    let cases = case::all();
    let missing: Vec<String> = cases
        .iter()
        .map(own)
        .filter(|want| !rows.iter().any(|row| row.starts_with(want.as_str())))
        .collect();
    assert!(missing.is_empty(), "the page does not have:\n{}", missing.join("\n"));
    let of_cases = rows.iter().filter(|row| row.starts_with("| `")).count();
    assert_eq!(of_cases, cases.len(), "the page has cases that there are not");
}
