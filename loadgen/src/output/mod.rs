//! Results in files that other tools open.
//!
//! A result's folder has `result.json` (all that is known, from which every report can be made
//! again), `summary.json`, a `.hgrm` per distribution, `results.hlog` and `junit.xml`.
//!
//! Invariant: each file is written under another name first, so under its own name it is whole.
//!
//! Deliberately absent: files of an earlier run in the same folder are replaced where their names
//! are the same, and otherwise left alone. The report in HTML is made by [`crate::html`].

mod error;
pub mod hdr;
pub mod jtl;
pub mod junit;
pub mod metrics;
pub mod summary;
pub mod text;

use std::fs;
use std::io;
use std::path::Path;

pub use error::ReadError;

use crate::result::{RESULT_FORMAT, RunResult};
use summary::Summary;

/// Writes all files of a result into a folder, which is made if it is missing.
///
/// # Errors
///
/// If a file cannot be written; the files before it are there.
pub fn write_dir(result: &RunResult, dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    write_atomically(&dir.join(RESULT), serde_json::to_string(result)?.as_bytes())?;
    let summary = serde_json::to_string_pretty(&Summary::from(result))? + "\n";
    write_atomically(&dir.join("summary.json"), summary.as_bytes())?;
    for (name, text) in hdr::hgrm_files(result) {
        write_atomically(&dir.join(name), text.as_bytes())?;
    }
    write_atomically(&dir.join("results.hlog"), &hdr::hlog(result)?)?;
    let junit = junit::junit(result).map_err(io::Error::other)?;
    write_atomically(&dir.join("junit.xml"), junit.as_bytes())
}

/// Writes a file so that under its name there is either what was there before or all of this.
///
/// # Errors
///
/// If it cannot be written; what was there before stays.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    written.inspect_err(|_| drop(fs::remove_file(&temporary)))
}

/// Reads a result: from its folder, its `result.json`, or a sample log. A file is told by its
/// content, not by its name.
///
/// # Errors
///
/// If it is neither, or cannot be read.
pub fn load(path: &Path) -> Result<RunResult, ReadError> {
    let file = if path.is_dir() { path.join(RESULT) } else { path.to_owned() };
    if begins_with_brace(&file).map_err(|source| ReadError::Io { path: file.clone(), source })? {
        load_json(&file)
    } else {
        jtl::read_jtl(&file)
    }
}

fn begins_with_brace(path: &Path) -> io::Result<bool> {
    let mut begin = [0; 64];
    let count = io::Read::read(&mut fs::File::open(path)?, &mut begin)?;
    Ok(begin[..count].trim_ascii_start().first() == Some(&b'{'))
}

fn load_json(path: &Path) -> Result<RunResult, ReadError> {
    /// What every version has.
    #[derive(serde::Deserialize)]
    struct Head {
        format: u64,
    }
    let text = fs::read(path).map_err(|source| ReadError::Io { path: path.to_owned(), source })?;
    let wrong = |error: serde_json::Error| {
        let found = error.to_string();
        ReadError::NotResult { path: path.to_owned(), found }
    };
    let Head { format } = serde_json::from_slice(&text).map_err(wrong)?;
    if format != u64::from(RESULT_FORMAT) {
        return Err(ReadError::Format { path: path.to_owned(), found: format });
    }
    serde_json::from_slice(&text).map_err(wrong)
}

const RESULT: &str = "result.json";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::fixture::example;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        write_dir(&example(), &folder).unwrap();
        write_dir(&example(), &folder).unwrap();
        assert_eq!(load(&folder).unwrap(), example());
        assert_eq!(load(&folder.join(RESULT)).unwrap(), example());
        let mut names: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "junit.xml",
                "lateness.hgrm",
                "publish.hgrm",
                "read-history.hgrm",
                "result.json",
                "results.hlog",
                "summary.json",
                "tail-last-reader.hgrm",
                "tail.hgrm"
            ]
        );
    }

    #[test]
    fn other_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let check = |text: &str, said: &str| {
            let path = dir.path().join("file");
            fs::write(&path, text).unwrap();
            let error = load(&path).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        };
        check("{", "file: not a result: EOF");
        check("{\"format\": 1}", "not a result: missing field `meta`");
        check("{\"format\": 2}", "format 2, but this program reads format 1");
        check(" {\"a\": 2}", "missing field `format`");
        check("", "not a sample log");
        let error = load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("result.json: No such file"), "{error}");
    }
}
