//! The configuration of a verifier: every default, range and refusal.

use std::sync::Arc;

use super::{
    encoding::Encoding,
    mac::Function,
    scheme::{Algorithm, Grammar, KeyForm, PLACEHOLDERS, Part, Scheme, Timestamp, content},
    table,
    timestamp::WindowOverride,
    verify::Verifier,
};
use crate::{
    limit::Limit,
    options::{OptionError, Options, PlainValue, Read, nearest, shown},
    secret::Secret,
};

/// The configuration of a [`Verifier`].
#[derive(Debug)]
pub struct VerifierConfig {
    /// The secrets, newest first; at least one, none empty.
    pub secrets: Vec<Secret>,
    /// The rows that may sign a request; `None` detects the scheme by the request's headers.
    pub schemes: Option<Vec<Arc<Scheme>>>,
    /// The largest distance of a timestamp from now.
    pub window: WindowOverride,
    /// The endpoint's public URL, for schemes that sign it.
    pub url: Option<String>,
}

impl VerifierConfig {
    /// Reads `{ secret, maxAgeMs, toleranceMs, scheme, url }`.
    pub fn read(value: &PlainValue) -> Read<Self> {
        let options = Options::new("options", value)?;
        let config = Self {
            secrets: read_secrets(&options.path_of("secret"), options.value("secret"))?,
            schemes: options
                .value("scheme")
                .map(|value| read_schemes(&options.path_of("scheme"), value))
                .transpose()?,
            window: read_window(&options)?,
            url: options.text("url")?.map(str::to_owned),
        };
        options.finish()?;
        Ok(config)
    }
}

/// One secret or a list of them, newest first. Absent and empty ones are refused: an endpoint that would
/// accept any signature, or none, must not start.
pub fn read_secrets(path: &str, value: Option<&PlainValue>) -> Read<Vec<Secret>> {
    let one = |value: &PlainValue| match value {
        PlainValue::Text(text) if !text.is_empty() => Ok(Secret::new(text.as_str())),
        PlainValue::Text(_) => Err(OptionError::bad_value(path, "must not be empty")),
        other => Err(OptionError::wrong_type(
            path,
            "a non-empty string or an array of them",
            other,
        )),
    };
    match value {
        Some(PlainValue::List(list)) if list.is_empty() => {
            Err(OptionError::bad_value(path, "must not be empty"))
        }
        Some(PlainValue::List(list)) => list.iter().map(one).collect(),
        Some(value) => Ok(vec![one(value)?]),
        None => one(&PlainValue::Undefined).map(|secret| vec![secret]),
    }
}

fn read_window(options: &Options<'_>) -> Read<WindowOverride> {
    let limit = |key| {
        let given = options.value(key).is_some();
        let limit = options.ms_limit(key, Limit::Off, 0.0)?;
        Ok(given.then_some(limit))
    };
    Ok(WindowOverride {
        max_age: limit("maxAgeMs")?,
        tolerance: limit("toleranceMs")?,
    })
}

/// A name, a description, or a list of them.
fn read_schemes(path: &str, value: &PlainValue) -> Read<Vec<Arc<Scheme>>> {
    match value {
        PlainValue::Text(name) => schemes_by_name(path, name),
        PlainValue::Map(_) => Ok(vec![Arc::new(read_scheme(path, value)?)]),
        PlainValue::List(list) if !list.is_empty() => {
            let mut schemes = Vec::new();
            for item in list {
                match item {
                    PlainValue::List(_) => {
                        return Err(OptionError::wrong_type(
                            path,
                            "an array without nested arrays",
                            item,
                        ));
                    }
                    item => schemes.extend(read_schemes(path, item)?),
                }
            }
            Ok(schemes)
        }
        PlainValue::List(_) => Err(OptionError::bad_value(path, "must not be empty")),
        other => Err(OptionError::wrong_type(
            path,
            "the name of a scheme, an object that describes one, or an array of them",
            other,
        )),
    }
}

fn schemes_by_name(path: &str, name: &str) -> Read<Vec<Arc<Scheme>>> {
    let schemes: Vec<_> = table::schemes()
        .iter()
        .filter(|scheme| scheme.name == name)
        .cloned()
        .collect();
    if !schemes.is_empty() {
        return Ok(schemes);
    }
    let names = table::names();
    let hint = nearest(name, &names).map_or_else(
        || format!("; the schemes are {}", names.join(", ")),
        |near| format!("; did you mean '{near}'?"),
    );
    Err(OptionError::bad_value(
        path,
        format!("'{}' is not a known scheme{hint}", shown(name)),
    ))
}

/// Reads `{ name, header, content, prefix, fields, algorithm, encoding, keyEncoding, timestampHeader,
/// timestampUnit, idHeader }`; the first three must be given.
fn read_scheme(path: &str, value: &PlainValue) -> Read<Scheme> {
    let options = Options::new(path, value)?;
    let name = options.required_text("name")?.to_owned();
    let header = options.required_text("header")?.to_ascii_lowercase();
    let template = options.required_text("content")?.to_owned();
    let mut scheme = Scheme::new(name, header, &template);
    let prefix = options.text("prefix")?;
    scheme.grammar = Grammar::Bare(prefix.unwrap_or_default().to_owned().into());
    if let Some(fields) = options.nested("fields")? {
        if prefix.is_some() {
            return Err(OptionError::bad_value(
                path,
                "must not have both 'prefix' and 'fields'",
            ));
        }
        scheme.grammar = field_grammar(&fields)?;
        scheme.timestamp = Timestamp::InSignature;
        fields.finish()?;
    }
    scheme.algorithm = options.choice(
        "algorithm",
        scheme.algorithm,
        &[
            ("sha256", Algorithm::Keyed(Function::HmacSha256)),
            ("sha1", Algorithm::Keyed(Function::HmacSha1)),
            ("ed25519", Algorithm::Ed25519),
        ],
    )?;
    scheme.encoding = options.choice(
        "encoding",
        scheme.encoding,
        &[("hex", Encoding::Hex), ("base64", Encoding::Base64)],
    )?;
    scheme.key = options.choice(
        "keyEncoding",
        scheme.key,
        &[
            ("text", KeyForm::Text),
            ("base64", KeyForm::Base64),
            ("hex", KeyForm::Hex),
        ],
    )?;
    if let Some(header) = options.text("timestampHeader")? {
        if scheme.has_timestamp() {
            return Err(OptionError::bad_value(
                &options.path_of("timestampHeader"),
                "cannot be combined with 'fields'",
            ));
        }
        scheme.timestamp = Timestamp::Header(header.to_ascii_lowercase().into());
    }
    scheme.timestamp_in_ms =
        options.choice("timestampUnit", false, &[("s", false), ("ms", true)])?;
    let id = options.text("idHeader")?.unwrap_or_default();
    scheme.id = id.to_ascii_lowercase().into();
    check_content(&options.path_of("content"), &scheme, &template)?;
    options.finish()?;
    Ok(scheme)
}

fn field_grammar(fields: &Options<'_>) -> Read<Grammar> {
    let separator = fields.text("separator")?.unwrap_or(",");
    let mut characters = separator.chars();
    let (Some(separator), None) = (characters.next(), characters.next()) else {
        return Err(OptionError::bad_value(
            &fields.path_of("separator"),
            "must be one character",
        ));
    };
    Ok(Grammar::Fields {
        separator,
        timestamp: fields.text("timestamp")?.unwrap_or("t").to_owned().into(),
        signature: fields.text("signature")?.unwrap_or("v1").to_owned().into(),
    })
}

/// A description must sign the body, and everything it relies on.
fn check_content(path: &str, scheme: &Scheme, template: &str) -> Read<()> {
    let bodies = content(template)
        .iter()
        .filter(|part| **part == Part::Body)
        .count();
    if bodies != 1 {
        return Err(OptionError::bad_value(path, "must contain {body} once"));
    }
    if scheme.has_timestamp() != scheme.signs(&Part::Timestamp) {
        return Err(OptionError::bad_value(
            path,
            "must contain {timestamp} if the scheme has a timestamp: an unsigned timestamp gives no protection",
        ));
    }
    if scheme.signs(&Part::Id) && scheme.id.is_empty() {
        return Err(OptionError::bad_value(
            path,
            "contains {id}, which requires 'idHeader'",
        ));
    }
    if let Some(stray) = scheme.content.iter().find_map(|part| match part {
        Part::Text(text) if text.contains(['{', '}']) => Some(text),
        _ => None,
    }) {
        let cached: Vec<_> = PLACEHOLDERS.iter().map(|(name, _)| *name).collect();
        return Err(OptionError::bad_value(
            path,
            format!(
                "has '{stray}', which is not a placeholder; the placeholders are {}",
                cached.join(" ")
            ),
        ));
    }
    Ok(())
}

impl Verifier {
    /// Refuses to be used with a replay store where a request is never too old: it would have to be remembered for
    /// ever.
    pub fn check_replay(&self) -> Read<()> {
        if self.window.max_age != Some(Limit::Off) {
            return Ok(());
        }
        Err(OptionError::bad_value(
            "options.maxAgeMs",
            "must be finite with a replayStore, whose entries expire: use the longest possible delay, such as 30 days",
        ))
    }

    /// Refuses secrets of which none can be used for a scheme that was asked for by name.
    pub fn check_secrets(&self) -> Read<()> {
        if self.detects {
            return Ok(());
        }
        for scheme in self.schemes.iter() {
            if self.keys.keys(scheme).is_empty() {
                return Err(OptionError::bad_value(
                    "options.secret",
                    format!(
                        "must be {} for the scheme '{}'",
                        scheme.key.expected(),
                        scheme.name
                    ),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, PlainValue)]) -> PlainValue {
        PlainValue::Map(
            entries
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
        )
    }

    fn text(text: &str) -> PlainValue {
        PlainValue::Text(text.to_owned())
    }

    fn refuse(options: &[(&str, PlainValue)]) -> String {
        VerifierConfig::read(&map(options)).unwrap_err().message
    }

    #[test]
    fn a_verifier_without_a_secret_does_not_start() {
        assert!(refuse(&[]).starts_with("options.secret must be a non-empty string"));
        assert_eq!(
            refuse(&[("secret", text(""))]),
            "options.secret must not be empty"
        );
        assert_eq!(
            refuse(&[("secret", PlainValue::List(vec![]))]),
            "options.secret must not be empty"
        );
        let list = PlainValue::List(vec![text("a"), text("")]);
        assert_eq!(
            refuse(&[("secret", list)]),
            "options.secret must not be empty"
        );
    }

    #[test]
    fn an_unknown_scheme_or_option_is_refused_naming_the_nearest() {
        let secret = ("secret", text("s"));
        assert!(
            refuse(&[secret.clone(), ("scheme", text("githb"))])
                .ends_with("did you mean 'github'?")
        );
        assert!(refuse(&[secret, ("maxAge", PlainValue::Number(1.0))]).contains("'maxAgeMs'"));
    }

    #[test]
    fn generic_stands_for_its_three_spellings_and_lists_keep_their_order() {
        let list = PlainValue::List(vec![text("slack"), text("generic")]);
        let config =
            VerifierConfig::read(&map(&[("secret", text("s")), ("scheme", list)])).unwrap();
        let names: Vec<_> = config
            .schemes
            .unwrap()
            .iter()
            .map(|scheme| scheme.name.clone())
            .collect();
        assert_eq!(names, ["slack", "generic", "generic", "generic"]);
    }

    #[test]
    fn a_description_that_protects_less_than_it_seems_is_refused() {
        let base = [("name", text("own")), ("header", text("X-Own"))];
        let with = |more: &[(&str, PlainValue)]| {
            let scheme = map(&[&base[..], more].concat());
            VerifierConfig::read(&map(&[("secret", text("s")), ("scheme", scheme)]))
        };
        assert!(with(&[("content", text("{body}"))]).is_ok());
        let stamped = ("timestampHeader", text("x-time"));
        assert!(with(&[("content", text("{timestamp}.{body}")), stamped.clone()]).is_ok());
        for bad in [
            vec![("content", text("{timestamp}"))],
            vec![("content", text("{timestamp}.{body}"))],
            vec![("content", text("{body}")), stamped],
            vec![("content", text("{id}{body}"))],
            vec![("content", text("{bod}{body}"))],
            vec![("content", text("{body}{body}"))],
        ] {
            assert!(
                with(&bad)
                    .unwrap_err()
                    .message
                    .starts_with("options.scheme.content"),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn a_secret_that_no_named_scheme_can_use_is_refused() {
        let options = map(&[("secret", text("s")), ("scheme", text("discord"))]);
        let error = Verifier::new(VerifierConfig::read(&options).unwrap())
            .check_secrets()
            .unwrap_err();
        assert!(
            error.message.contains("64 hexadecimal digits"),
            "{}",
            error.message
        );
        assert!(!error.message.contains("'s'"));
    }
}
