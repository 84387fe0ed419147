//! The end of the head of a response, in bytes that are cut anywhere.

/// Finds the first empty line. A line ends with a line feed, with or without a carriage return before it, as hyper has it.
#[derive(Debug, Default)]
pub(super) struct HeadScanner {
    line: Line,
}

/// What has come of the current line.
#[derive(Clone, Copy, Debug, Default)]
enum Line {
    #[default]
    Nothing,
    CarriageReturn,
    Text,
}

impl HeadScanner {
    /// The number of bytes that belong to the head, if it ends among them. What is scanned after that is the next head.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        for (index, byte) in bytes.iter().enumerate() {
            self.line = match (*byte, self.line) {
                (b'\n', Line::Text) => Line::Nothing,
                (b'\n', Line::Nothing | Line::CarriageReturn) => {
                    self.line = Line::Nothing;
                    return Some(index + 1);
                }
                (b'\r', Line::Nothing) => Line::CarriageReturn,
                _ => Line::Text,
            };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_at_its_empty_line_wherever_it_is_cut() {
        let heads = [
            "HTTP/1.1 200 OK\r\na: b\r\n\r\n",
            "HTTP/1.1 200 OK\na: b\n\n",
            "HTTP/1.1 200 OK\r\na: b\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\r\n \r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\r\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "\r\n",
        ];
        for head in heads {
            let sent = [head, "\n\r\n: a body"].concat();
            for cut in 0..=sent.len() {
                let mut scanner = HeadScanner::default();
                let (first, second) = sent.as_bytes().split_at(cut);
                let end = scanner
                    .scan(first)
                    .or_else(|| Some(cut + scanner.scan(second)?));
                assert_eq!(end, Some(head.len()), "{head:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn the_next_head_is_found_after_an_interim_one() {
        let sent = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody";
        let mut scanner = HeadScanner::default();
        let interim = scanner.scan(sent).unwrap();
        assert_eq!(&sent[interim..interim + 12], b"HTTP/1.1 200");
        let head = scanner.scan(&sent[interim..]).unwrap();
        assert_eq!(&sent[interim + head..], b"body");
        assert_eq!(scanner.scan(b"body"), None);
    }
}
