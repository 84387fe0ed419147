//! Connection strings as libpq reads them: URIs and lists of `key=value`
//! (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>).
//!
//! A reason never shows what may be a password, or a part of one.

use super::parameters::is_known;

/// The parameters of a string, each once, by libpq's names. A value that is empty stands for the default.
pub(super) type Parameters = Vec<(String, Value)>;

/// A parameter's value: bytes, since a password need not be text.
pub(super) type Value = Vec<u8>;

/// Why a string cannot be read.
pub(super) type Unreadable<T> = Result<T, String>;

/// Reads a string of either form.
pub(super) fn parse(text: &str) -> Unreadable<Parameters> {
    let mut pairs = Pairs::default();
    match uri_rest(text) {
        Some(rest) => parse_uri(rest, &mut pairs)?,
        None if text.contains("://") && !text.split("://").next().is_some_and(has_sign) => {
            return Err("must begin with postgres:// or postgresql://".to_owned());
        }
        None => parse_list(text, &mut pairs)?,
    }
    Ok(pairs.0)
}

fn has_sign(text: &str) -> bool {
    text.contains('=')
}

/// What follows the scheme: `postgres://`, `postgresql://`, or either with the name of a driver, as SQLAlchemy has it.
fn uri_rest(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("://")?;
    let (name, driver) = scheme.split_once('+').unwrap_or((scheme, ""));
    let is_driver = driver
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    (matches!(name, "postgres" | "postgresql") && is_driver).then_some(rest)
}

#[derive(Default)]
struct Pairs(Parameters);

impl Pairs {
    /// The last of several counts.
    fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    fn set_decoded(&mut self, name: &str, value: &str) -> Unreadable<()> {
        let value = decode(value)?;
        self.set(name, value);
        Ok(())
    }
}

/// `[user[:password]@][host[:port][,…]][/database][?parameters]`
fn parse_uri(rest: &str, pairs: &mut Pairs) -> Unreadable<()> {
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let rest = match rest[..authority_end].split_once('@') {
        None => rest,
        Some((credentials, _)) => {
            let (user, password) = match credentials.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (credentials, None),
            };
            pairs.set_decoded("user", user)?;
            if let Some(password) = password {
                pairs.set_decoded("password", password)?;
            }
            &rest[credentials.len() + 1..]
        }
    };
    let hosts_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (hosts, rest) = rest.split_at(hosts_end);
    if rest.contains('@') || hosts.contains('@') {
        return Err(
            "has an @ behind its host: characters of a user or a password that stand for something else have to be \
             percent-encoded (@ as %40, / as %2F)"
                .to_owned(),
        );
    }
    parse_hosts(hosts, pairs)?;
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    if let Some(database) = path.strip_prefix('/').filter(|path| !path.is_empty()) {
        pairs.set_decoded("dbname", database)?;
    }
    let mut follows_password = false;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let name = parse_parameter(parameter, pairs)?;
        if follows_password && !is_known(&name) {
            return Err(
                "has something behind the password that is no parameter: an & in it has to be written %26".to_owned(),
            );
        }
        follows_password |= name == "password";
    }
    Ok(())
}

fn parse_hosts(hosts: &str, pairs: &mut Pairs) -> Unreadable<()> {
    if hosts.is_empty() {
        return Ok(());
    }
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        let (name, rest) = match host.strip_prefix('[') {
            Some(literal) => literal
                .split_once(']')
                .ok_or("has an IPv6 address without its ]")?,
            None => host.split_at(host.find(':').unwrap_or(host.len())),
        };
        let port = match rest.strip_prefix(':') {
            Some(port) => port,
            None if rest.is_empty() => "",
            None => return Err("has something behind the ] of an IPv6 address".to_owned()),
        };
        names.push(name);
        ports.push(port);
    }
    if names.iter().any(|name| !name.is_empty()) {
        pairs.set_decoded("host", &names.join(","))?;
    }
    if ports.iter().any(|port| !port.is_empty()) {
        pairs.set_decoded("port", &ports.join(","))?;
    }
    Ok(())
}

/// Gives its name.
fn parse_parameter(parameter: &str, pairs: &mut Pairs) -> Unreadable<String> {
    let (name, value) = parameter
        .split_once('=')
        .ok_or("has a parameter without =")?;
    if value.contains('=') {
        return Err("has a parameter with a second =, which has to be written %3D".to_owned());
    }
    let name = String::from_utf8(decode(name)?).map_err(|_| "has a name that is not UTF-8")?;
    let value = decode(value)?;
    match (name.as_str(), value.as_slice()) {
        // As JDBC has it.
        ("ssl", b"true") => pairs.set("sslmode", b"require".to_vec()),
        _ => pairs.set(&name, value),
    }
    Ok(name)
}

/// Replaces `%XX`. As libpq, it takes no NUL, and a `+` for itself.
fn decode(text: &str) -> Unreadable<Value> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = bytes.next().and_then(|byte| char::from(byte).to_digit(16));
            digit.ok_or("has a % without two hexadecimal digits, which has to be written %25")
        };
        let byte = digit()? << 4 | digit()?;
        decoded.push(u8::try_from(byte).unwrap_or_default());
    }
    if decoded.contains(&0) {
        return Err("has a NUL".to_owned());
    }
    Ok(decoded)
}

/// `name = value …`, where a value may stand in quotes, and `\` stands before a character that is meant as it is.
fn parse_list(text: &str, pairs: &mut Pairs) -> Unreadable<()> {
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        let end = rest
            .find(|letter| letter == '=' || is_space(letter))
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let after = after.trim_start_matches(is_space);
        // Not shown: it may be the rest of a password that was not quoted.
        let after = after.strip_prefix('=').ok_or(
            "must be a postgres:// URL or a list of key=value; a value with spaces stands in ' '",
        )?;
        let (value, after) = parse_value(after.trim_start_matches(is_space))?;
        if value.contains('\0') {
            return Err("has a NUL".to_owned());
        }
        let follows_password = pairs.0.iter().any(|(known, _)| known == "password");
        if follows_password && !is_known(name) {
            return Err(
                "has something behind the password that is no parameter: a password with spaces stands in ' '"
                    .to_owned(),
            );
        }
        pairs.set(name, value.into_bytes());
        rest = after.trim_start_matches(is_space);
    }
    Ok(())
}

/// A value, and what comes behind it.
fn parse_value(text: &str) -> Unreadable<(String, &str)> {
    let (text, is_quoted) = match text.strip_prefix('\'') {
        Some(quoted) => (quoted, true),
        None => (text, false),
    };
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((place, letter)) = letters.next() {
        match letter {
            '\\' => value.extend(letters.next().map(|(_, escaped)| escaped)),
            '\'' if is_quoted => return Ok((value, &text[place + 1..])),
            letter if !is_quoted && is_space(letter) => return Ok((value, &text[place..])),
            letter => value.push(letter),
        }
    }
    if is_quoted {
        return Err("has a ' without its other one".to_owned());
    }
    Ok((value, ""))
}

/// As C's `isspace`.
const fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t'..='\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Unreadable<String> {
        let pairs = parse(text)?.into_iter();
        let pairs =
            pairs.map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(&value)));
        Ok(pairs.collect::<Vec<_>>().join(" "))
    }

    const READ: [(&str, &str); 31] = [
        ("", ""),
        ("postgres://", ""),
        ("postgresql://", ""),
        ("postgresql://localhost", "host=localhost"),
        ("postgresql://localhost:5433", "host=localhost port=5433"),
        ("postgresql://localhost/mydb", "host=localhost dbname=mydb"),
        ("postgresql://user@localhost", "user=user host=localhost"),
        (
            "postgresql://user:secret@localhost",
            "user=user password=secret host=localhost",
        ),
        (
            "postgresql://other@localhost/otherdb?connect_timeout=10&application_name=myapp",
            "user=other host=localhost dbname=otherdb connect_timeout=10 application_name=myapp",
        ),
        (
            "postgresql://host1:123,host2:456/somedb?target_session_attrs=any",
            "host=host1,host2 port=123,456 dbname=somedb target_session_attrs=any",
        ),
        ("postgres://h1,h2:6/", "host=h1,h2 port=,6"),
        (
            "postgresql:///mydb?host=localhost&port=5433",
            "dbname=mydb host=localhost port=5433",
        ),
        (
            "postgresql://[2001:db8::1234]/database",
            "host=2001:db8::1234 dbname=database",
        ),
        ("postgresql://[::1]:7,h", "host=::1,h port=7,"),
        (
            "postgresql:///dbname?host=/var/lib/postgresql",
            "dbname=dbname host=/var/lib/postgresql",
        ),
        (
            "postgresql://%2Fvar%2Flib%2Fpostgresql/dbname",
            "host=/var/lib/postgresql dbname=dbname",
        ),
        (
            "postgresql://user@localhost:5433/mydb?options=-c%20synchronous_commit%3Doff",
            "user=user host=localhost port=5433 dbname=mydb options=-c synchronous_commit=off",
        ),
        ("postgresql+asyncpg://u@h/d", "user=u host=h dbname=d"),
        ("postgres+psycopg2://h", "host=h"),
        ("postgres://u:a+b%2B%40@h", "user=u password=a+b+@ host=h"),
        ("postgres://u:p%3aq:r@h", "user=u password=p:q:r host=h"),
        (
            "postgres://u:@h?ssl=true",
            "user=u password= host=h sslmode=require",
        ),
        (
            "postgres://h?sslmode=require&sslmode=disable",
            "host=h sslmode=disable",
        ),
        ("postgres://h?host=i", "host=i"),
        ("host=localhost port=5432", "host=localhost port=5432"),
        (" host = a  port= 6\tuser =b ", "host=a port=6 user=b"),
        (
            r"password='it\'s a \\' user=a\ b",
            r"password=it's a \ user=a b",
        ),
        ("password='' user=", "password= user="),
        ("host=a host=b", "host=b"),
        ("options='-c a=b'", "options=-c a=b"),
        ("password=a://b", "password=a://b"),
    ];

    #[test]
    fn strings_are_read_as_libpq_reads_them() {
        for (text, expected) in READ {
            assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_without_what_may_be_a_password() {
        for text in [
            "mysql://u:hunter2@h/d",
            "http://hunter2",
            "hunter2",
            "postgres://u:hunter2@x@h",
            "postgres://u:hunter2/x@h",
            "postgres://u:hunter2/x@h?hunter2=1",
            "postgres://u:p/hunter2?x=@h",
            "postgres://u:%zzhunter2@h",
            "postgres://u:hunter2%0@h",
            "postgres://u:hunter2%00@h",
            "postgres://u:hunter2@[::1",
            "postgres://u:hunter2@[::1]x",
            "postgres://u:hunter2@h?a",
            "postgres://u:hunter2@h?a=b=c",
            "postgres://h?password=a&hunter2=b",
            "password=my hunter2",
            "password=my hunter2=x",
            "password='hunter2",
            "password='a' hunter2",
            "host=a password=a\0hunter2",
        ] {
            let reason = shown(text).unwrap_err();
            assert!(!reason.contains("hunter2"), "{text}: {reason}");
        }
    }

    mod properties {
        use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
        use proptest::prelude::*;

        use super::*;

        proptest! {
            #[test]
            fn parts_come_back_from_a_uri(
                user in "[^\0]{1,12}", password in "[^\0]{0,12}", hosts in prop::collection::vec("[^\0,]{1,9}", 1..4),
                database in "[^\0]{1,12}", options in "[^\0]{0,20}",
            ) {
                let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
                let encoded: Vec<_> = hosts.iter().map(|host| encode(host)).collect();
                let text = format!(
                    "postgres://{}:{}@{}/{}?options={}",
                    encode(&user), encode(&password), encoded.join(","), encode(&database), encode(&options)
                );
                let expected = [
                    ("user", user), ("password", password), ("host", hosts.join(",")), ("dbname", database),
                    ("options", options),
                ];
                let expected: Parameters =
                    expected.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect();
                prop_assert_eq!(parse(&text), Ok(expected));
            }

            #[test]
            fn parts_come_back_from_a_list(password in "[^\0]{0,12}", host in "[^\0]{0,12}") {
                let quote = |text: &str| format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"));
                let text = format!("password={} host = {}", quote(&password), quote(&host));
                let expected = vec![
                    ("password".to_owned(), password.into_bytes()),
                    ("host".to_owned(), host.into_bytes()),
                ];
                prop_assert_eq!(parse(&text), Ok(expected));
            }

            #[test]
            fn anything_is_read_or_refused(
                text in prop_oneof![any::<String>(), "(postgres|postgresql|x)(://)?[a-z%@:/?&=,\\[\\]' 0]{0,40}"],
            ) {
                let _ = parse(&text);
            }
        }
    }
}
