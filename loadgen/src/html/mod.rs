//! The HTML report: one file that needs no network, no server and, for its tables, no script.
//!
//! The page is a template over `page`, the charts draw `charts`' data with the embedded
//! library. Invariants: whatever comes from a run (labels, messages, the plan) is data, escaped
//! where it is written; the page's policy lets only its own scripts and styles run, by their
//! hashes, and lets nothing be fetched; the size does not grow with the length of a run.
//!
//! Deliberately absent: clocks and files. The same result makes the same bytes.

mod apdex;
mod bins;
mod charts;
mod curves;
mod deliveries;
mod facts;
mod heat;
mod page;
mod tables;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value, context};

pub use apdex::{APDEX_SATISFIED_NS, APDEX_TOLERATED_NS};

use crate::result::RunResult;

/// Why a report could not be made. Neither depends on what a run contains.
#[derive(Debug, thiserror::Error)]
pub enum HtmlError {
    /// The page's template does not fit its data.
    #[error("the report's template failed: {0}")]
    Template(#[from] minijinja::Error),
    /// The charts' data could not be written.
    #[error("the report's chart data could not be written as JSON: {0}")]
    Data(#[from] serde_json::Error),
}

/// The whole page.
///
/// # Errors
///
/// [`HtmlError`] if the page's own template is at fault.
pub fn render(result: &RunResult) -> Result<String, HtmlError> {
    let styles = [UPLOT_STYLE, STYLE].concat();
    let script = SCRIPTS.concat();
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    // The name's ending turns on escaping.
    environment.add_template("report.html", TEMPLATE)?;
    let page = environment.get_template("report.html")?.render(context! {
        policy => policy(&styles, &script),
        styles => Value::from_safe_string(styles),
        script => Value::from_safe_string(script),
        data => Value::from_safe_string(inert_json(&charts::Charts::of(result))?),
        ..Value::from(Serde(page::Page::of(result)))
    })?;
    Ok(page)
}

/// Nothing may be fetched or sent, and only these very scripts and styles run.
fn policy(styles: &str, script: &str) -> String {
    let hash = |text: &str| {
        STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref())
    };
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; base-uri 'none'; \
         form-action 'none'",
        hash(script),
        hash(styles)
    )
}

/// JSON that cannot end the element which it stands in.
fn inert_json(data: &impl serde::Serialize) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string(data)?
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026"))
}

const TEMPLATE: &str = include_str!("../../assets/report/report.html");
const STYLE: &str = include_str!("../../assets/report/report.css");
const UPLOT_STYLE: &str = include_str!("../../assets/uplot/uPlot.min.css");

/// In the order in which they run.
const SCRIPTS: [&str; 5] = [
    include_str!("../../assets/uplot/uPlot.iife.min.js"),
    include_str!("../../assets/report/look.js"),
    include_str!("../../assets/report/curves.js"),
    include_str!("../../assets/report/heat.js"),
    include_str!("../../assets/report/report.js"),
];
