//! Results in files that other tools open.
//!
//! A result's folder has `result.json` (all that is known, from which every report can be made
//! again), `summary.json`, a `.hgrm` per distribution, `results.hlog` and `junit.xml`.
//!
//! Invariants: each file is written under another name first, so under its own name it is whole;
//! only a regular file is ever replaced.
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
use std::io::{self, Write as _};
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

/// Writes a file so that under its name there is either what was there before or all of this. A
/// symbolic link stays one: what it leads to is replaced. A device or a pipe is written to.
///
/// # Errors
///
/// If it cannot be written; what was there before stays.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(there) if there.is_file() => replace(&fs::canonicalize(path)?, bytes),
        Ok(_) => fs::OpenOptions::new().write(true).open(path)?.write_all(bytes),
        // A link to what is not there yet: the file is made where it leads.
        Err(_) if fs::symlink_metadata(path).is_ok() => fs::write(path, bytes),
        Err(_) => replace(path, bytes),
    }
}

/// Puts a file in the place of a regular one, or of nothing.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
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
    fn only_regular_files_are_replaced() {
        use std::os::unix::fs::{FileTypeExt as _, symlink};
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let is_link = |name: &str| fs::symlink_metadata(path(name)).unwrap().is_symlink();

        fs::write(path("file"), "old and longer").unwrap();
        symlink("file", path("link")).unwrap();
        write_atomically(&path("link"), b"new").unwrap();
        assert!(is_link("link"));
        assert_eq!(fs::read(path("file")).unwrap(), b"new");

        symlink("later", path("dangling")).unwrap();
        write_atomically(&path("dangling"), b"x").unwrap();
        assert!(is_link("dangling"));
        assert_eq!(fs::read(path("later")).unwrap(), b"x");

        // Links, so that a mistake here replaces these and no device of the machine.
        symlink("/dev/null", path("null")).unwrap();
        symlink("/dev/full", path("full")).unwrap();
        write_atomically(&path("null"), b"x").unwrap();
        assert!(write_atomically(&path("full"), b"x").is_err());
        assert!(is_link("null") && is_link("full"));
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());

        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), rustix::fs::Mode::RWXU).unwrap();
        let reader = std::thread::spawn({
            let pipe = path("pipe");
            move || fs::read(pipe).unwrap()
        });
        write_atomically(&path("pipe"), b"through").unwrap();
        assert_eq!(reader.join().unwrap(), b"through");
        assert!(fs::metadata(path("pipe")).unwrap().file_type().is_fifo());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 7, "nothing is left over");
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
