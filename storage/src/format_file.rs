//! The text of `FORMAT`: which version of the format a directory has, and who gave it that.
//!
//! ```text
//! format = 2
//! created-by = thalweg 0.1.0
//! crc32c = 93a1c0de            over every byte before this line
//! ```
//!
//! Invariant: a number that the checksum does not vouch for is believed only if a program wrote
//! files without one in that version. Otherwise a flipped bit would pass for a newer format.

use crate::format::{FORMAT_VERSION, OLDEST_FORMAT_VERSION};

/// What `FORMAT` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FormatFile {
    /// The version.
    pub version: u32,
    /// The program that gave the directory this version.
    pub created_by: String,
    /// Whether the file has a checksum: early versions wrote none.
    pub(crate) is_sealed: bool,
}

/// Why the text of `FORMAT` cannot be believed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FormatDamage {
    /// The checksum is not that of the text, or there is none and lines that came with it.
    #[error("it says {text:?}, which its checksum does not confirm")]
    Checksum {
        /// The text.
        text: String,
    },
    /// A version of which no file without a checksum was ever written.
    #[error("it says format {found} and has no checksum, which files of that version have")]
    Unsealed {
        /// The version.
        found: u32,
    },
    /// There is no number.
    #[error("it says {text:?} instead of `format = <number>`")]
    NoVersion {
        /// The text.
        text: String,
    },
}

impl FormatFile {
    /// Reads the file. A version that is newer than this program is the caller's to refuse.
    pub(crate) fn decode(bytes: &[u8]) -> Result<FormatFile, FormatDamage> {
        let text = || String::from_utf8_lossy(bytes).into_owned();
        let body = body_of(bytes).ok_or_else(|| FormatDamage::Checksum { text: text() })?;
        let is_sealed = body.len() < bytes.len();
        let body = String::from_utf8_lossy(body);
        let version = value_in(&body, VERSION_KEY).and_then(|number| number.parse().ok());
        let version = version
            .filter(|version| *version >= OLDEST_FORMAT_VERSION)
            .ok_or_else(|| FormatDamage::NoVersion { text: text() })?;
        if !is_sealed && version > NEWEST_UNSEALED {
            return Err(FormatDamage::Unsealed { found: version });
        }
        if !is_sealed && !body.lines().all(is_of_unsealed) {
            return Err(FormatDamage::Checksum { text: text() });
        }
        let created_by = value_in(&body, WRITER_KEY).unwrap_or("an unknown version").to_owned();
        Ok(FormatFile { version, created_by, is_sealed })
    }

    /// The file of a new directory.
    pub(crate) fn text_of_new(created_by: &str) -> String {
        sealed(format!("{VERSION_KEY}{FORMAT_VERSION}\n{WRITER_KEY}{created_by}\n"))
    }

    /// The file as this version wants it, read from `bytes`; `None` if it is like that already.
    pub(crate) fn text_of_upgraded(&self, bytes: &[u8], program: &str) -> Option<String> {
        if self.version < FORMAT_VERSION {
            let (version, created_by) = (self.version, &self.created_by);
            Some(sealed(format!(
                "{VERSION_KEY}{FORMAT_VERSION}\n{WRITER_KEY}{program}\n\
                 {UPGRADED_KEY}{version}, {created_by}\n"
            )))
        } else if self.version == FORMAT_VERSION && !self.is_sealed {
            Some(sealed(String::from_utf8_lossy(bytes).trim_end().to_owned() + "\n"))
        } else {
            None
        }
    }
}

/// The part that the checksum is over: all of it, if there is none. `None` if it does not match.
fn body_of(bytes: &[u8]) -> Option<&[u8]> {
    if !String::from_utf8_lossy(bytes).contains(SUM_KEY) {
        return Some(bytes);
    }
    let line = bytes.len().checked_sub(SUM_KEY.len() + SUM_DIGITS + 1)?;
    let (body, line) = bytes.split_at(line);
    let is_ours = line == sum_line(body).as_bytes() && body.ends_with(b"\n");
    is_ours.then_some(body)
}

fn sealed(body: String) -> String {
    let line = sum_line(body.as_bytes());
    body + &line
}

fn sum_line(body: &[u8]) -> String {
    format!("{SUM_KEY}{:0SUM_DIGITS$x}\n", crc32c::crc32c(body))
}

/// Whether a file without a checksum may have such a line.
fn is_of_unsealed(line: &str) -> bool {
    [VERSION_KEY, WRITER_KEY, UPGRADED_KEY].iter().any(|key| line.starts_with(key))
}

fn value_in<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(key))
}

const VERSION_KEY: &str = "format = ";
const WRITER_KEY: &str = "created-by = ";
const UPGRADED_KEY: &str = "upgraded-from = ";
const SUM_KEY: &str = "crc32c = ";
const SUM_DIGITS: usize = 8;
/// Files of later versions have a checksum.
const NEWEST_UNSEALED: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    /// Byte for byte: a reader of another program can check it with any CRC-32C.
    const GOLDEN: &str = "format = 2\ncreated-by = thalweg 0.1.0\ncrc32c = cd2f8839\n";

    #[test]
    fn a_new_file() {
        assert_eq!(FormatFile::text_of_new("thalweg 0.1.0"), GOLDEN);
        let found = FormatFile::decode(GOLDEN.as_bytes()).unwrap();
        let want = (FORMAT_VERSION, "thalweg 0.1.0".to_owned(), true);
        assert_eq!((found.version, found.created_by.clone(), found.is_sealed), want);
        assert_eq!(found.text_of_upgraded(GOLDEN.as_bytes(), "x"), None);
    }

    #[test]
    fn texts() {
        let check = |text: &str, want: Result<(u32, &str), &str>| match (
            FormatFile::decode(text.as_bytes()),
            want,
        ) {
            (Ok(found), Ok((version, created_by))) => {
                assert_eq!((found.version, &*found.created_by), (version, created_by));
            }
            (Err(damage), Err(part)) => {
                assert!(damage.to_string().contains(part), "{text:?}: {damage}");
            }
            (found, want) => panic!("{text:?}: got {found:?}, want {want:?}"),
        };
        check("format = 1\ncreated-by = thalweg 0.1.0\n", Ok((1, "thalweg 0.1.0")));
        check("format = 2\n", Ok((2, "an unknown version")));
        let later = sealed("format = 9\ncreated-by = thalweg 9.0\nmore = 1\n".to_owned());
        check(&later, Ok((9, "thalweg 9.0")));
        check(&later[..later.len() - 18], Err("format 9 and has no checksum"));
        check("format = 0\n", Err("instead of"));
        check(&sealed("format = 0\n".to_owned()), Err("instead of"));
        check("", Err("instead of"));
        check("junk", Err("junk"));
        check(&format!("{GOLDEN}\n"), Err("does not confirm"));
        check(&GOLDEN.replace("= 2", "= 6"), Err("does not confirm"));
    }

    /// No flipped bit makes it another version, and with a checksum none goes unnoticed.
    #[test]
    fn flipped_bits() {
        let unsealed = "format = 2\ncreated-by = thalweg 0.1.0\n";
        for text in [GOLDEN, unsealed] {
            for bit in 0..text.len() * 8 {
                let mut bytes = text.as_bytes().to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                if let Ok(found) = FormatFile::decode(&bytes) {
                    assert!(text == unsealed && found.version <= 2, "bit {bit}: {found:?}");
                }
            }
        }
    }
}
