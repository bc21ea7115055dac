//! Lays rows out so that none lies across a page of the file.
//!
//! ```text
//!      page 0                          page 1
//!      |header|row|row|row         0000|row|row|row   00000|row ...
//!                                  ^ leading zeros of the last column of the row
//! ```
//!
//! Invariant: each multiple of [`PAGE`] within the rows is the end of a row. The last row is held
//! back: only the row after it says how far it has to reach.

/// Kernels copy a write into the page cache by pages of this many bytes, or by multiples of it.
pub(super) const PAGE: usize = 4096;

/// Rows on their way to the file.
#[derive(Debug, Default)]
pub(super) struct Pages {
    /// Rows in the file's order; the last `held` bytes are a row that may still change.
    out: Vec<u8>,
    held: usize,
    /// Offset in the file of the end of `out`.
    end: u64,
}

impl Pages {
    /// Adds a row with its line end, no longer than a page. All but the first row of a file end
    /// in a number.
    pub(super) fn push(&mut self, row: &[u8]) {
        let room = PAGE - (self.end % PAGE as u64) as usize;
        if row.len() > room {
            self.fill(room);
        }
        self.out.extend_from_slice(row);
        self.held = row.len();
        self.end += row.len() as u64;
    }

    /// Bytes that are ready to be written.
    pub(super) fn ready(&self) -> &[u8] {
        &self.out[..self.out.len() - self.held]
    }

    /// They have been.
    pub(super) fn written(&mut self) {
        self.out.drain(..self.out.len() - self.held);
    }

    /// The last row follows none: it is ready too.
    pub(super) fn release(&mut self) {
        self.held = 0;
    }

    /// Makes the held row longer by leading zeros of its last field.
    fn fill(&mut self, zeros: usize) {
        let field = memchr::memrchr(b',', &self.out).map_or(0, |comma| comma + 1);
        let old_end = self.out.len();
        self.out.resize(old_end + zeros, b'0');
        self.out.copy_within(field..old_end, field + zeros);
        self.out[field..field + zeros].fill(b'0');
        self.end += zeros as u64;
        self.held += zeros;
    }
}

#[cfg(test)]
mod tests {
    use super::super::HEADER;
    use super::super::row::MAX_ROW;
    use super::*;
    use proptest::prelude::*;

    fn row(length: usize) -> Vec<u8> {
        let mut row = vec![b'x'; length.saturating_sub(5)];
        row.extend_from_slice(b",123\n");
        row
    }

    proptest! {
        #[test]
        fn no_row_lies_across_a_page(
            lengths in prop::collection::vec(prop_oneof![5..300usize, 5..=MAX_ROW], 1..200),
            writes in prop::collection::vec(any::<bool>(), 200),
        ) {
            let (mut pages, mut file) = (Pages::default(), Vec::new());
            pages.push(HEADER.as_bytes());
            for (length, write) in lengths.iter().zip(writes) {
                pages.push(&row(*length));
                if write {
                    file.extend_from_slice(pages.ready());
                    pages.written();
                    prop_assert_eq!(file.last().copied().unwrap_or(b'\n'), b'\n');
                }
            }
            pages.release();
            file.extend_from_slice(pages.ready());
            for boundary in (PAGE..=file.len()).step_by(PAGE) {
                prop_assert_eq!(file[boundary - 1], b'\n');
            }
            let text = String::from_utf8(file).unwrap();
            let mut rows = text.split_inclusive('\n');
            prop_assert_eq!(rows.next(), Some(HEADER));
            let got: Vec<(usize, u64)> = rows
                .map(|row| row.trim_end().rsplit_once(',').unwrap())
                .map(|(text, number)| (text.len(), number.parse().unwrap()))
                .collect();
            let expected: Vec<(usize, u64)> = lengths.iter().map(|len| (len - 5, 123)).collect();
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn a_row_that_just_fits_needs_nothing() {
        let mut pages = Pages::default();
        pages.push(&row(PAGE - 100));
        pages.push(&row(100));
        pages.push(&row(5));
        pages.release();
        assert_eq!(pages.ready().len(), PAGE + 5);
    }
}
