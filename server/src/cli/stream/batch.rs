//! Cuts the input of `append` into request bodies.
//!
//! Bytes are cut every [`MAX_PIECE_BYTES`]. JSON lines become arrays of what is there already, up
//! to a bound: a slow writer's line goes out at once, a fast one's go out many at a time.

use std::path::PathBuf;

use serde_json::value::RawValue;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use super::failure::Failure;

/// Where the data comes from.
pub(super) enum Source {
    Text(String),
    File(PathBuf),
    Stdin,
}

/// The data of one append.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Batch {
    pub(super) body: Vec<u8>,
    /// Messages of a JSON batch; 1 otherwise.
    pub(super) messages: usize,
}

/// The input as a sequence of batches.
pub(super) struct Batches {
    reader: BufReader<Box<dyn AsyncRead + Unpin>>,
    what: String,
    json_lines: bool,
    line_number: usize,
}

impl Batches {
    pub(super) async fn open(source: Source, json_lines: bool) -> Result<Batches, Failure> {
        let (reader, what): (Box<dyn AsyncRead + Unpin>, String) = match source {
            Source::Text(text) => {
                (Box::new(std::io::Cursor::new(text.into_bytes())), "the argument".to_owned())
            }
            Source::Stdin => (Box::new(tokio::io::stdin()), "stdin".to_owned()),
            Source::File(path) => {
                let what = path.display().to_string();
                let opened = tokio::fs::File::open(&path).await;
                let file = opened.map_err(|error| Failure::Local { what: what.clone(), error })?;
                (Box::new(file), what)
            }
        };
        let reader = BufReader::with_capacity(BUFFER_BYTES, reader);
        Ok(Batches { reader, what, json_lines, line_number: 0 })
    }

    /// The next batch; `None` at the end of the input.
    pub(super) async fn next(&mut self) -> Result<Option<Batch>, Failure> {
        if self.json_lines { self.next_lines().await } else { self.next_piece().await }
    }

    async fn next_piece(&mut self) -> Result<Option<Batch>, Failure> {
        let mut body = Vec::new();
        let mut limited = (&mut self.reader).take(MAX_PIECE_BYTES as u64);
        let read = limited.read_to_end(&mut body).await;
        read.map_err(|error| Failure::Local { what: self.what.clone(), error })?;
        Ok((!body.is_empty()).then_some(Batch { body, messages: 1 }))
    }

    async fn next_lines(&mut self) -> Result<Option<Batch>, Failure> {
        let mut body = vec![b'['];
        let mut messages = 0;
        while messages == 0 || (self.has_line() && body.len() < MAX_BATCH_BYTES) {
            let mut line = Vec::new();
            let read = self.reader.read_until(b'\n', &mut line).await;
            if read.map_err(|error| Failure::Local { what: self.what.clone(), error })? == 0 {
                break;
            }
            self.line_number += 1;
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            serde_json::from_slice::<&RawValue>(line).map_err(|error| {
                Failure::Input(format!(
                    "{}, line {}: not a JSON value: {error} (each line is one message)",
                    self.what, self.line_number
                ))
            })?;
            if messages > 0 {
                body.push(b',');
            }
            body.extend_from_slice(line);
            messages += 1;
            if messages == MAX_BATCH_MESSAGES {
                break;
            }
        }
        body.push(b']');
        Ok((messages > 0).then_some(Batch { body, messages }))
    }

    /// A whole line is in memory: taking it does not wait.
    fn has_line(&self) -> bool {
        self.reader.buffer().contains(&b'\n')
    }
}

/// Bytes of one append; below the default body limit of any server we know.
const MAX_PIECE_BYTES: usize = 1024 * 1024;
/// A JSON batch is closed when it has grown to this.
const MAX_BATCH_BYTES: usize = 512 * 1024;
const MAX_BATCH_MESSAGES: usize = 1000;
const BUFFER_BYTES: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(text: &str, json_lines: bool) -> Result<Vec<Batch>, Failure> {
        let mut batches = Batches::open(Source::Text(text.to_owned()), json_lines).await?;
        let mut all = Vec::new();
        while let Some(batch) = batches.next().await? {
            all.push(batch);
        }
        Ok(all)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn json_lines_become_arrays() {
        let got = all("{\"a\":1}\n\n [2,3] \r\n\"x\"\n4", true).await.expect("valid");
        // The last line has no end, so it may still grow and does not join the batch.
        let bodies: Vec<_> =
            got.iter().map(|batch| String::from_utf8_lossy(&batch.body).into_owned()).collect();
        assert_eq!(bodies, ["[{\"a\":1},[2,3],\"x\"]", "[4]"]);
        assert_eq!(got[0].messages, 3);

        let many = "1\n".repeat(2500);
        let counts: Vec<_> =
            all(&many, true).await.expect("valid").iter().map(|batch| batch.messages).collect();
        assert_eq!(counts, [1000, 1000, 500]);
        assert_eq!(all("\n \n", true).await.expect("valid"), []);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_bad_line_is_named() {
        let error = all("1\nnope\n", true).await.expect_err("not JSON");
        assert!(error.to_string().starts_with("the argument, line 2: not a JSON value"), "{error}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn bytes_are_cut_by_size_alone() {
        let lengths = |text: String| async move {
            let all = all(&text, false).await.expect("valid");
            all.iter().map(|batch| batch.body.len()).collect::<Vec<_>>()
        };
        assert_eq!(lengths(String::new()).await, [0; 0]);
        assert_eq!(lengths("a\nb".to_owned()).await, [3]);
        let long = "x".repeat(2 * MAX_PIECE_BYTES + 1);
        assert_eq!(lengths(long).await, [MAX_PIECE_BYTES, MAX_PIECE_BYTES, 1]);
    }
}
