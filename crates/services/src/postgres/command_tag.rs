//! What a server says of a statement that has run.

/// The parts of the tag of a statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Completion<'a> {
    pub(super) command: Option<&'a str>,
    pub(super) rows: Option<u64>,
    pub(super) oid: Option<u32>,
}

impl<'a> Completion<'a> {
    /// Reads a tag as `pg` does: its first word, and the numbers at its end.
    pub(super) fn of(tag: &'a str) -> Self {
        let mut words = tag.split(' ');
        let command = words.next().filter(|word| !word.is_empty());
        let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
        let (oid, rows) = match numbers[..] {
            [oid, rows] => (u32::try_from(oid).ok(), Some(rows)),
            [rows] => (None, Some(rows)),
            _ => (None, None),
        };
        Self { command, rows, oid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_as_pg_reads_it() {
        let table = [
            ("SELECT 5", Some("SELECT"), Some(5), None),
            ("INSERT 0 3", Some("INSERT"), Some(3), Some(0)),
            ("CREATE TABLE", Some("CREATE"), None, None),
            ("BEGIN", Some("BEGIN"), None, None),
            ("COPY 7", Some("COPY"), Some(7), None),
            ("", None, None, None),
        ];
        for (tag, command, rows, oid) in table {
            assert_eq!(
                Completion::of(tag),
                Completion { command, rows, oid },
                "{tag}"
            );
        }
    }
}
