//! Data types of the protocol (RFC 4251, section 5): read within bounds, and written.

use std::str;

/// Why a message cannot be read: it ends too early, or has a value that its type does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What is left of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What has not been read.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        self.array().map(|[byte]| byte)
    }

    /// Any value but zero is true.
    pub(crate) fn boolean(&mut self) -> Result<bool, Malformed> {
        Ok(self.byte()? != 0)
    }

    pub(crate) fn uint32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn uint64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.uint32()?;
        self.take(usize::try_from(length).map_err(|_| Malformed)?)
    }

    /// A string that is UTF-8.
    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        str::from_utf8(self.string()?).map_err(|_| Malformed)
    }

    /// A number that is not negative, without leading zeros.
    pub(crate) fn mpint(&mut self) -> Result<&'a [u8], Malformed> {
        let bytes = self.string()?;
        if bytes.first().is_some_and(|first| first & 0x80 != 0) {
            return Err(Malformed);
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes.get(zeros..).ok_or(Malformed)
    }

    /// Names separated by commas.
    pub(crate) fn name_list(&mut self) -> Result<Vec<String>, Malformed> {
        let text = self.text()?;
        let names = text.split(',').filter(|name| !name.is_empty());
        Ok(names.map(str::to_owned).collect())
    }
}

/// Appends a string.
pub(crate) fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    // No message is longer than a packet, whose length has 32 bits.
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a number that is not negative.
pub(crate) fn put_mpint(out: &mut Vec<u8>, bytes: &[u8]) {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = bytes.get(zeros..).unwrap_or_default();
    let is_padded = bytes.first().is_some_and(|first| first & 0x80 != 0);
    out.extend(((bytes.len() + usize::from(is_padded)) as u32).to_be_bytes());
    if is_padded {
        out.push(0);
    }
    out.extend_from_slice(bytes);
}

/// Appends names, separated by commas.
pub(crate) fn put_name_list<S: AsRef<str>>(out: &mut Vec<u8>, names: &[S]) {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    put_string(out, names.join(",").as_bytes());
}

/// A text of the server's for a message: printable, and of limited length.
pub(crate) fn printable(bytes: &[u8], limit: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let is_shown = |character: &char| !character.is_control() || matches!(character, '\n' | '\t');
    let text: String = text.chars().filter(is_shown).take(limit).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_written_as_rfc_4251_shows_them() {
        let table: [(&[u8], &[u8]); 4] = [
            (&[], &[0, 0, 0, 0]),
            (&[0, 0], &[0, 0, 0, 0]),
            (
                &[0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7],
                &[0, 0, 0, 8, 0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7],
            ),
            (&[0x80], &[0, 0, 0, 2, 0, 0x80]),
        ];
        for (number, encoded) in table {
            let mut out = Vec::new();
            put_mpint(&mut out, number);
            assert_eq!(out, encoded);
        }
        assert_eq!(Reader::new(&[0, 0, 0, 1, 0x80]).mpint(), Err(Malformed));
    }

    #[test]
    fn a_list_has_no_empty_names() {
        let mut out = Vec::new();
        put_name_list(&mut out, &["zlib", "none"]);
        assert_eq!(Reader::new(&out).name_list().unwrap(), ["zlib", "none"]);
        assert!(Reader::new(&[0; 4]).name_list().unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes: Vec<u8>, number: Vec<u8>) {
            let mut out = Vec::new();
            put_string(&mut out, &bytes);
            put_mpint(&mut out, &number);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.string().unwrap(), &bytes);
            let zeros = number.iter().take_while(|byte| **byte == 0).count();
            prop_assert_eq!(reader.mpint().unwrap(), &number[zeros..]);
            prop_assert!(reader.is_empty());
            for cut in 0..out.len() {
                let mut reader = Reader::new(&out[..cut]);
                prop_assert!(reader.string().and_then(|_| reader.mpint()).is_err());
            }
        }
    }
}
