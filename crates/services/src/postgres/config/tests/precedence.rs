//! What comes before what.

use super::{Entries, read, text};
use crate::postgres::config::{Config, PasswordOrigin, SessionTarget};

/// How a value is read again.
type Shown = fn(&Config) -> String;

/// An option, its parameter, its variable, and three values.
const TABLE: [(&str, &str, &str, [&str; 3], Shown); 12] = [
    ("host", "host", "PGHOST", ["a", "b", "c"], |config| {
        config.servers[0].host()
    }),
    ("port", "port", "PGPORT", ["1", "2", "3"], |c| {
        c.servers[0].port().to_string()
    }),
    (
        "hostaddr",
        "hostaddr",
        "PGHOSTADDR",
        ["127.0.0.1", "127.0.0.2", "::1"],
        |c| c.servers[0].numeric.clone().unwrap_or_default(),
    ),
    ("user", "user", "PGUSER", ["a", "b", "c"], |c| {
        c.user.clone()
    }),
    ("database", "dbname", "PGDATABASE", ["a", "b", "c"], |c| {
        c.database.clone()
    }),
    (
        "password",
        "password",
        "PGPASSWORD",
        ["a", "b", "c"],
        |c| match &c.password {
            PasswordOrigin::Given(secret) => secret.expose_text().unwrap_or_default().to_owned(),
            other => format!("{other:?}"),
        },
    ),
    (
        "passfile",
        "passfile",
        "PGPASSFILE",
        ["a", "b", "c"],
        |c| match &c.password {
            PasswordOrigin::File(path) => path.display().to_string(),
            other => format!("{other:?}"),
        },
    ),
    (
        "applicationName",
        "application_name",
        "PGAPPNAME",
        ["a", "b", "c"],
        |c| c.application_name.clone(),
    ),
    (
        "options",
        "options",
        "PGOPTIONS",
        ["-ca=1", "-cb=2", "-cc=3"],
        |c| c.options.clone().unwrap_or_default(),
    ),
    (
        "sslmode",
        "sslmode",
        "PGSSLMODE",
        ["disable", "require", "verify-ca"],
        |c| c.encryption.mode.as_str().to_owned(),
    ),
    (
        "targetSessionAttrs",
        "target_session_attrs",
        "PGTARGETSESSIONATTRS",
        ["read-write", "standby", "primary"],
        |c| {
            let names = SessionTarget::NAMES.iter();
            let mut names = names.filter(|(_, target)| *target == c.session_target);
            names
                .next()
                .map(|(name, _)| (*name).to_owned())
                .unwrap_or_default()
        },
    ),
    (
        "channelBinding",
        "channel_binding",
        "PGCHANNELBINDING",
        ["disable", "require", "prefer"],
        |c| format!("{:?}", c.encryption.channel_binding).to_lowercase(),
    ),
];

#[test]
fn an_option_comes_before_the_string_that_before_a_variable() {
    for (option, parameter, variable, [first, second, third], shown) in TABLE {
        let given = |entries: Entries<'_>, variables: &[(&str, &str)]| {
            shown(&read(entries, &[variables, &[("USER", "os")]].concat()).unwrap())
        };
        let string = ("connectionString", text(&format!("{parameter}='{second}'")));
        let own = (option, text(first));
        assert_eq!(
            given(&[own, string.clone()], &[(variable, third)]),
            first,
            "{option}"
        );
        assert_eq!(
            given(&[string], &[(variable, third)]),
            second,
            "{parameter}"
        );
        assert_eq!(given(&[], &[(variable, third)]), third, "{variable}");
        // A variable that is empty is none; a parameter that is empty is the default.
        let by_default = given(&[], &[]);
        assert_eq!(given(&[], &[(variable, "")]), by_default);
        if option != "hostaddr" {
            let empty = ("connectionString", text(&format!("{parameter}=''")));
            if !matches!(option, "user" | "password" | "passfile") {
                assert_eq!(
                    given(&[empty], &[(variable, third)]),
                    by_default,
                    "{parameter}"
                );
            }
        }
    }
}

#[test]
fn the_user_is_the_systems_where_nothing_names_another() {
    let user = |variables: &[(&str, &str)]| read(&[], variables).map(|config| config.user);
    assert_eq!(user(&[("USER", "a"), ("USERNAME", "b")]).unwrap(), "a");
    assert_eq!(user(&[("USERNAME", "b")]).unwrap(), "b");
    assert_eq!(user(&[("USER", "a"), ("PGUSER", "c")]).unwrap(), "c");
}
