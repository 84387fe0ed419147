//! What becomes of libpq's parameters and variables.

use moorline_core::options::{Fallback, OptionError, PlainValue, Read};

use super::{
    CONNECTION_TIMEOUT,
    connection_string::{Value, parse},
    manager,
};

/// The option that has a connection string.
pub(super) const CONNECTION_STRING: &str = "connectionString";

/// What is done with a parameter.
#[derive(Clone, Copy)]
enum Use {
    /// It is this option.
    Option(&'static str),
    /// It is this option, where nothing else gives it.
    Last(&'static str),
    /// It is this option, a limit in units of so many; 0 and less are none.
    Limit(&'static str, f64),
    /// It is this option, on unless it is 0.
    Flag(&'static str),
    /// A number that changes nothing here.
    Number,
    /// It may be one of these, which is what is done anyway.
    Fixed(&'static [&'static str]),
    /// It is refused, for this reason.
    Refused(&'static str),
}

/// A second in milliseconds.
const SECONDS: f64 = 1_000.0;
const APPLICATION_NAME: Use = Use::Option("applicationName");
const GSSAPI: Use = Use::Refused("is not supported: there is no GSSAPI");
const REVOCATION: Use = Use::Refused("is not supported: no revocation lists are read");
const SERVICES: Use =
    Use::Refused("is not supported: there are no services; give their parameters instead");

/// The parameters of libpq (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS>), and their
/// variables (<https://www.postgresql.org/docs/current/libpq-envars.html>).
const PARAMETERS: [(&str, &str, Use); 43] = [
    ("host", "PGHOST", Use::Option("host")),
    ("hostaddr", "PGHOSTADDR", Use::Option("hostaddr")),
    ("port", "PGPORT", Use::Option("port")),
    ("dbname", "PGDATABASE", Use::Option("database")),
    ("user", "PGUSER", Use::Option("user")),
    ("password", "PGPASSWORD", Use::Option("password")),
    ("passfile", "PGPASSFILE", Use::Option("passfile")),
    (
        "require_auth",
        "PGREQUIREAUTH",
        Use::Refused("is not supported"),
    ),
    (
        "channel_binding",
        "PGCHANNELBINDING",
        Use::Option("channelBinding"),
    ),
    (
        "connect_timeout",
        "PGCONNECT_TIMEOUT",
        Use::Limit(CONNECTION_TIMEOUT, SECONDS),
    ),
    (
        "client_encoding",
        "PGCLIENTENCODING",
        Use::Fixed(&["utf8", "utf-8", "unicode", "auto"]),
    ),
    ("options", "PGOPTIONS", Use::Option("options")),
    ("application_name", "PGAPPNAME", APPLICATION_NAME),
    (
        "fallback_application_name",
        "",
        Use::Last("applicationName"),
    ),
    ("keepalives", "", Use::Flag("keepAlive")),
    (
        "keepalives_idle",
        "",
        Use::Limit("keepAliveInitialDelayMillis", SECONDS),
    ),
    (
        "keepalives_interval",
        "",
        Use::Limit("keepAliveIntervalMs", SECONDS),
    ),
    ("keepalives_count", "", Use::Limit("keepAliveCount", 1.0)),
    ("tcp_user_timeout", "", Use::Limit("tcpUserTimeoutMs", 1.0)),
    ("replication", "", Use::Refused("is not supported")),
    (
        "gssencmode",
        "PGGSSENCMODE",
        Use::Fixed(&["disable", "prefer"]),
    ),
    ("krbsrvname", "PGKRBSRVNAME", GSSAPI),
    ("gsslib", "PGGSSLIB", GSSAPI),
    ("gssdelegation", "PGGSSDELEGATION", GSSAPI),
    ("sslmode", "PGSSLMODE", Use::Option("sslmode")),
    (
        "sslnegotiation",
        "PGSSLNEGOTIATION",
        Use::Option("sslnegotiation"),
    ),
    ("sslcompression", "PGSSLCOMPRESSION", Use::Number),
    ("sslcert", "PGSSLCERT", Use::Option("sslcert")),
    ("sslkey", "PGSSLKEY", Use::Option("sslkey")),
    (
        "sslpassword",
        "",
        Use::Refused("is not supported: decrypt the key with `openssl pkey`"),
    ),
    ("sslcertmode", "PGSSLCERTMODE", Use::Fixed(&["allow"])),
    ("sslrootcert", "PGSSLROOTCERT", Use::Option("sslrootcert")),
    ("sslcrl", "PGSSLCRL", REVOCATION),
    ("sslcrldir", "PGSSLCRLDIR", REVOCATION),
    ("sslsni", "PGSSLSNI", Use::Fixed(&["1"])),
    (
        "requirepeer",
        "PGREQUIREPEER",
        Use::Refused("is not supported"),
    ),
    (
        "ssl_min_protocol_version",
        "PGSSLMINPROTOCOLVERSION",
        Use::Option("sslMinProtocolVersion"),
    ),
    (
        "ssl_max_protocol_version",
        "PGSSLMAXPROTOCOLVERSION",
        Use::Fixed(&["TLSv1.3"]),
    ),
    (
        "target_session_attrs",
        "PGTARGETSESSIONATTRS",
        Use::Option("targetSessionAttrs"),
    ),
    (
        "load_balance_hosts",
        "PGLOADBALANCEHOSTS",
        Use::Option("loadBalanceHosts"),
    ),
    ("service", "PGSERVICE", SERVICES),
    ("servicefile", "PGSERVICEFILE", SERVICES),
    ("sslkeylogfile", "", Use::Refused("is not supported")),
];

/// Whether libpq has a parameter of this name.
pub(super) fn is_known(name: &str) -> bool {
    PARAMETERS.iter().any(|(known, ..)| *known == name)
}

/// What stands for options that are not given: the parameters of the string, then the variables, a manager's before libpq's.
pub(super) fn fallbacks(
    string: Option<&str>,
    variables: &PlainValue,
    is_tunnelled: bool,
) -> Read<Vec<Fallback>> {
    let path = format!("options.{CONNECTION_STRING}");
    let mut fallbacks = Fallbacks::default();
    if let Some(string) = string {
        let parameters = parse(string).map_err(|reason| OptionError::bad_value(&path, reason))?;
        for (name, value) in parameters {
            let Some((_, _, use_)) = PARAMETERS.iter().find(|(known, ..)| *known == name) else {
                let known: Vec<_> = PARAMETERS.iter().map(|(known, ..)| *known).collect();
                return Err(OptionError::unknown(
                    &format!("{path}.{name}"),
                    &name,
                    &known,
                ));
            };
            fallbacks.add(&format!("{path}.{name}"), value, *use_)?;
        }
    }
    let managers = manager::fallbacks(variables, is_tunnelled)?;
    fallbacks.first.extend(managers);
    if let PlainValue::Map(entries) = variables {
        let text = |variable: &str| match entries.iter().find(|(name, _)| name == variable) {
            Some((_, PlainValue::Text(text))) if !text.is_empty() => Some(text),
            _ => None,
        };
        for (_, variable, use_) in PARAMETERS {
            if let Some(text) = text(variable) {
                fallbacks.add(variable, text.clone().into_bytes(), use_)?;
            }
        }
        for variable in ["USER", "USERNAME"] {
            if let Some(text) = text(variable) {
                let use_ = Use::Option("user");
                fallbacks.add(variable, text.clone().into_bytes(), use_)?;
            }
        }
    }
    fallbacks.first.append(&mut fallbacks.last);
    Ok(fallbacks.first)
}

#[derive(Default)]
struct Fallbacks {
    first: Vec<Fallback>,
    last: Vec<Fallback>,
}

impl Fallbacks {
    fn add(&mut self, name: &str, value: Value, use_: Use) -> Read<()> {
        let value = match String::from_utf8(value) {
            Ok(text) => PlainValue::Text(text),
            Err(bytes) if matches!(use_, Use::Option("password")) => {
                PlainValue::Bytes(bytes.into_bytes())
            }
            Err(_) => return Err(OptionError::bad_value(name, "is not UTF-8")),
        };
        let text = match &value {
            PlainValue::Text(text) => text.trim(),
            _ => "",
        };
        let fallback = |key, value| Fallback {
            key,
            name: name.to_owned(),
            value,
        };
        match use_ {
            Use::Option(key) => self.first.push(fallback(key, value)),
            Use::Last(key) => self.last.push(fallback(key, value)),
            Use::Limit(..) | Use::Flag(_) if text.is_empty() => {}
            Use::Limit(key, unit) => {
                let limit = PlainValue::Number(limit(name, text, unit)?);
                self.first.push(fallback(key, limit));
            }
            Use::Flag(key) => {
                let flag = PlainValue::Bool(whole(name, text)? != 0);
                self.first.push(fallback(key, flag));
            }
            Use::Number => _ = whole(name, text)?,
            Use::Fixed(values) => {
                let is_one = values.iter().any(|known| known.eq_ignore_ascii_case(text));
                if !is_one && !text.is_empty() {
                    let reason = format!("is not supported but as {}", values.join(", "));
                    return Err(OptionError::bad_value(name, reason));
                }
            }
            Use::Refused(reason) => return Err(OptionError::bad_value(name, reason)),
        }
        Ok(())
    }
}

fn whole(name: &str, text: &str) -> Read<i32> {
    let wrong = |_| OptionError::bad_value(name, "must be a whole number");
    match text {
        "" => Ok(0),
        text => text.parse().map_err(wrong),
    }
}

fn limit(name: &str, text: &str, unit: f64) -> Read<f64> {
    let number = whole(name, text)?;
    Ok(if number > 0 {
        f64::from(number) * unit
    } else {
        f64::INFINITY
    })
}
