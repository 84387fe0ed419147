//! A batch of messages for JavaScript, without an allocation per small message.

use memchr::memchr2;
use moorline_net::receive_queue::Buffer;

/// Binary messages of this size and more keep the memory they were received in.
const LARGE_BYTES: usize = 64 * 1024;
/// Texts up to this size are looked at for [`Batch::is_json_list`]: a larger one costs more than what reading it with others
/// saves.
const MAX_LISTED_BYTES: usize = 1024;
/// The cost of a message beside its bytes, so that empty ones count too.
const MESSAGE_COST: usize = 64;

/// One message of a [`Batch`].
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    /// A text message of this many bytes in [`Batch::text`].
    Text(usize),
    /// A binary message of this many bytes in [`Batch::binary`].
    Binary(usize),
    /// A large text, which is valid UTF-8.
    LargeText(Vec<u8>),
    /// A large binary message.
    LargeBinary(Vec<u8>),
}

/// Messages in the order in which they came.
#[derive(Debug, Default)]
pub struct Batch {
    /// The messages, in order.
    pub entries: Vec<Entry>,
    /// The bytes of all small texts, each after a comma; each is valid UTF-8.
    pub text: Vec<u8>,
    /// The bytes of all small binary messages, one after the other.
    pub binary: Vec<u8>,
    /// The number of received pings.
    pub pings: u32,
    /// Whether one of the texts is not an object or an array of JSON by its brackets.
    has_other_text: bool,
    cost: usize,
}

impl Buffer for Batch {
    type Batch = Self;
    fn take(&mut self) -> Self {
        std::mem::take(self)
    }
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.pings == 0
    }
    fn cost(&self) -> usize {
        self.cost
    }
}

impl Batch {
    /// The number of messages, and of their bytes.
    pub fn totals(&self) -> (u64, u64) {
        let cost = self.entries.len() * MESSAGE_COST;
        (self.entries.len() as u64, (self.cost - cost) as u64)
    }

    /// Whether its texts, with their commas, are the elements of a JSON array: where that array can be parsed, each element
    /// is what its text would be by itself.
    pub fn is_json_list(&self) -> bool {
        !self.has_other_text && self.entries.iter().all(|it| matches!(it, Entry::Text(_)))
    }

    pub(super) fn push_text(&mut self, text: &str) {
        self.cost += text.len() + MESSAGE_COST;
        self.append_text(text.as_bytes());
    }

    fn append_text(&mut self, text: &[u8]) {
        self.has_other_text = self.has_other_text || !is_enclosed(text);
        self.text.push(b',');
        self.text.extend_from_slice(text);
        self.entries.push(Entry::Text(text.len()));
    }

    pub(super) fn push_binary(&mut self, bytes: &[u8]) {
        if bytes.len() >= LARGE_BYTES {
            return self.push_message(bytes.to_vec(), false);
        }
        self.cost += bytes.len() + MESSAGE_COST;
        self.binary.extend_from_slice(bytes);
        self.entries.push(Entry::Binary(bytes.len()));
    }

    /// A message that was put together in memory of its own; text has been checked.
    pub(super) fn push_message(&mut self, bytes: Vec<u8>, is_text: bool) {
        self.cost += bytes.len() + MESSAGE_COST;
        let large = bytes.len() >= LARGE_BYTES;
        self.entries.push(match (is_text, large) {
            (true, true) => Entry::LargeText(bytes),
            (false, true) => Entry::LargeBinary(bytes),
            (true, false) => return self.append_text(&bytes),
            (false, false) => {
                self.binary.extend_from_slice(&bytes);
                Entry::Binary(bytes.len())
            }
        });
    }

    pub(super) fn push_ping(&mut self) {
        self.pings = self.pings.saturating_add(1);
    }

    /// Takes over what came after.
    pub(super) fn append(&mut self, later: &mut Self) {
        if self.is_empty() {
            return std::mem::swap(self, later);
        }
        self.entries.append(&mut later.entries);
        self.text.append(&mut later.text);
        self.binary.append(&mut later.binary);
        self.pings = self.pings.saturating_add(std::mem::take(&mut later.pings));
        self.has_other_text |= std::mem::take(&mut later.has_other_text);
        self.cost += std::mem::take(&mut later.cost);
    }
}

/// The elements of a text that was made of a list of [`Batch::is_json_list`], as they came.
pub fn split_json_list(list: &str) -> Vec<&str> {
    let (mut elements, mut rest) = (Vec::new(), list.get(1..).unwrap_or_default());
    while let Some(length) = enclosed_length(rest.as_bytes()) {
        elements.push(&rest[..length]);
        rest = rest.get(length + 1..).unwrap_or_default();
    }
    elements
}

fn is_enclosed(text: &[u8]) -> bool {
    text.len() <= MAX_LISTED_BYTES && enclosed_length(text) == Some(text.len())
}

/// The length of the object or array at the beginning of a text, as the brackets of JSON are counted.
fn enclosed_length(text: &[u8]) -> Option<usize> {
    if !matches!(text.first(), Some(b'{' | b'[')) {
        return None;
    }
    let (mut depth, mut at) = (0_u32, 0);
    loop {
        let byte = text.get(at)?;
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            b'"' => at = end_of_string(text, at)?,
            _ => {}
        }
    }
}

/// Where the text goes on after a string whose first character is at `at`.
fn end_of_string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch(texts: &[&str]) -> Batch {
        let mut batch = Batch::default();
        for text in texts {
            batch.push_text(text);
        }
        batch
    }

    fn as_list(batch: &Batch) -> String {
        let texts = std::str::from_utf8(&batch.text).unwrap();
        format!("[{}]", &texts[1..])
    }

    #[test]
    fn texts_that_could_be_taken_for_other_texts_are_no_list() {
        for texts in [
            vec!["1,2"],
            vec!["{},{}"],
            vec!["[1", "2]"],
            vec!["[\"", "\"]"],
            vec!["[\"\\\"]"],
            vec!["[]]", "[[]"],
            vec!["", "[]"],
            vec!["[] "],
            vec!["plain"],
        ] {
            assert!(!batch(&texts).is_json_list(), "{texts:?}");
        }
        for texts in [
            vec!["{}", "[]"],
            vec![r#"{"a":"}]\"\\"}"#, "[[{}],[]]"],
            vec!["{\"ä\":1}"],
        ] {
            assert!(batch(&texts).is_json_list(), "{texts:?}");
        }
    }

    #[test]
    fn a_batch_with_anything_else_is_no_list() {
        let mut with_binary = batch(&["{}"]);
        with_binary.push_binary(b"x");
        assert!(!with_binary.is_json_list());
        let mut both = batch(&["{}"]);
        both.append(&mut batch(&["x"]));
        assert!(!both.is_json_list());
        let long = format!("[\"{}\"]", "x".repeat(MAX_LISTED_BYTES));
        assert!(!batch(&[&long]).is_json_list());
    }

    #[test]
    fn the_totals_count_messages_and_their_bytes() {
        let mut all = batch(&["{}", "äb"]);
        all.push_binary(b"xyz");
        all.push_message(vec![0; LARGE_BYTES], false);
        assert_eq!(all.totals(), (4, 2 + 3 + 3 + LARGE_BYTES as u64));
    }

    proptest! {
        #[test]
        fn a_list_that_can_be_parsed_has_each_text_as_an_element(
            texts in prop::collection::vec(prop_oneof![
                Just(r#"{"a":[1,"]"]}"#.to_owned()),
                Just("[]".to_owned()),
                "[\\[{][\\[\\]{}\",:1 \\\\u]{0,6}[\\]}]",
            ], 1..5),
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let batch = batch(&texts);
            if batch.is_json_list() {
                let list = as_list(&batch);
                prop_assert_eq!(&split_json_list(&list), &texts);
                let each = texts.iter().map(|text| serde_json::from_str(text));
                let each: Result<Vec<serde_json::Value>, _> = each.collect();
                let list: Result<Vec<serde_json::Value>, _> = serde_json::from_str(&list);
                prop_assert_eq!(list.ok(), each.ok());
            }
        }
    }
}
