//! Little-endian fields in and out of byte strings. Reading never panics and never allocates more
//! than the bytes at hand.

use crate::error::Damage;

/// Appends fields.
pub(crate) trait Put {
    /// Appends raw bytes.
    fn put(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }
    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }
    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }
    /// A count or a length. Every length in the format is 32 bits wide.
    fn put_len(&mut self, value: usize) {
        assert!(value <= u32::MAX as usize, "lengths are 32 bits wide, got {value}");
        self.put_u32(value as u32);
    }
    /// Length and bytes.
    fn put_str(&mut self, text: &str) {
        self.put_len(text.len());
        self.put(text.as_bytes());
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Consumes fields from the front.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields { bytes, at: 0 }
    }

    /// Bytes consumed so far.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Damage> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..len) else {
            return Err(Damage::Truncated { needed: len as u64, found: rest.len() as u64 });
        };
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Damage> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Damage> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Damage> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Damage> {
        self.array().map(u64::from_le_bytes)
    }

    /// A flag: 0 or 1.
    pub(crate) fn flag(&mut self, what: &'static str) -> Result<bool, Damage> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(Damage::Field { what, found: found.into() }),
        }
    }

    /// A count of things that take at least `each` bytes, so that a damaged count cannot make us
    /// allocate more than there is.
    pub(crate) fn count(&mut self, each: usize) -> Result<usize, Damage> {
        let count = self.u32()? as usize;
        let needed = count as u64 * each as u64;
        if needed > self.remaining() as u64 {
            return Err(Damage::Truncated { needed, found: self.remaining() as u64 });
        }
        Ok(count)
    }

    pub(crate) fn str(&mut self, what: &'static str) -> Result<&'a str, Damage> {
        let len = self.count(1)?;
        std::str::from_utf8(self.take(len)?).map_err(|_| Damage::Text { what })
    }

    /// Demands that nothing is left.
    pub(crate) fn finish(&self, what: &'static str) -> Result<(), Damage> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(Damage::Field { what, found: left as u64 }),
        }
    }
}
