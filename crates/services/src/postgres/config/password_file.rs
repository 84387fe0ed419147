//! Passwords of a file, as libpq reads it (<https://www.postgresql.org/docs/current/libpq-pgpass.html>).

use moorline_core::secret::Secret;

/// What a line has to match.
#[derive(Clone, Copy, Debug)]
pub(in crate::postgres) struct PasswordKey<'a> {
    /// The host; a socket's directory for one that is reached there.
    pub(in crate::postgres) host: &'a str,
    /// The port.
    pub(in crate::postgres) port: u16,
    /// The database.
    pub(in crate::postgres) database: &'a str,
    /// The user.
    pub(in crate::postgres) user: &'a str,
}

/// The password of the first line that matches: `host:port:database:user:password`, where `*` stands for anything, and `\`
/// before a character that is meant as it is.
pub(in crate::postgres) fn find_password(file: &[u8], key: PasswordKey<'_>) -> Option<Secret> {
    let port = key.port.to_string();
    let fields = [key.host, &port, key.database, key.user].map(str::as_bytes);
    file.split(|byte| *byte == b'\n').find_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line.starts_with(b"#") {
            return None;
        }
        let rest = fields
            .iter()
            .try_fold(line, |rest, field| after_field(rest, field))?;
        let password = unescape(rest);
        (!password.is_empty()).then(|| Secret::new(password))
    })
}

/// What follows a field that matches.
fn after_field<'a>(line: &'a [u8], expected: &[u8]) -> Option<&'a [u8]> {
    if let Some(rest) = line.strip_prefix(b"*:") {
        return Some(rest);
    }
    let mut rest = line;
    for byte in expected {
        rest = rest.strip_prefix(b"\\").unwrap_or(rest);
        rest = rest.strip_prefix(&[*byte])?;
    }
    rest.strip_prefix(b":")
}

fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = field.iter().copied();
    let mut password = Vec::with_capacity(field.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => password.push(bytes.next().unwrap_or(byte)),
            // It ends the password, as every field.
            b':' => break,
            byte => password.push(byte),
        }
    }
    password
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: PasswordKey<'_> = PasswordKey {
        host: "db.test",
        port: 5432,
        database: "app",
        user: "me",
    };

    #[test]
    fn the_first_line_that_matches_counts() {
        let table = [
            ("db.test:5432:app:me:pw", Some("pw")),
            ("*:*:*:*:pw", Some("pw")),
            (
                "# db.test\n\ndb.test:5432:other:me:no\ndb.test:*:app:*:pw\n*:*:*:*:late",
                Some("pw"),
            ),
            ("db.test:5432:app:me:pw\r\n", Some("pw")),
            (r"db.test:5432:app:me:a\:b\\c", Some(r"a:b\c")),
            (r"db\.test:5432:app:me:pw", Some("pw")),
            ("db.test:5432:app:me:pw:more", Some("pw")),
            ("db.test:5433:app:me:pw", None),
            ("db.tes:5432:app:me:pw", None),
            ("db.test2:5432:app:me:pw", None),
            ("db*:5432:app:me:pw", None),
            ("#*:*:*:*:pw", None),
            ("db.test:5432:app:me", None),
            ("db.test:5432:app:me:", None),
            ("", None),
        ];
        for (file, expected) in table {
            let found = find_password(file.as_bytes(), KEY);
            let expected = expected.map(Secret::new);
            assert_eq!(
                found.as_ref().and_then(Secret::expose_text),
                expected.as_ref().and_then(Secret::expose_text),
                "{file}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_comes_back(
            host in "[^\0\n\r]{1,9}", database in "[^\0\n\r]{1,9}", user in "[^\0\n\r]{1,9}", password in "[^\0\n\r]{1,9}",
        ) {
            let escape = |text: &str| text.replace('\\', r"\\").replace(':', r"\:");
            let key = PasswordKey { host: &host, port: 1, database: &database, user: &user };
            let [h, d, u, p] = [&host, &database, &user, &password].map(|text| escape(text));
            // A comment, and what stands for anything, cannot be escaped.
            prop_assume!(!h.starts_with('#') && !h.starts_with('*') && !d.starts_with('*') && !u.starts_with('*'));
            let found = find_password(format!("{h}:1:{d}:{u}:{p}\n").as_bytes(), key);
            prop_assert_eq!(found, Some(Secret::new(password)));
        }

        #[test]
        fn anything_is_read(file in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = find_password(&file, KEY);
        }
    }
}
