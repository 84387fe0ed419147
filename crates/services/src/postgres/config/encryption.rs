//! TLS and what belongs to it: `ssl` as `pg` has it, and libpq's parameters.
//!
//! Without a word about it, a certificate is checked wherever somebody could be in between: libpq's own default, `prefer`, is
//! secure against nobody. On this machine and inside a tunnel there is nobody, most servers speak no TLS there, and those that
//! insist on it have certificates for no name: there it is `prefer`.

use moorline_core::options::{OptionError, Options, PlainValue, Read};
use moorline_net::dial::{NameCheck, PemSource, TlsConfig, TlsVersion};

use super::{choice, non_empty};

/// How much TLS is wanted, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// None.
    Disable,
    /// What the server has, unchecked.
    Prefer,
    /// TLS, unchecked.
    Require,
    /// TLS with a certificate of a trusted authority.
    VerifyCa,
    /// The same, for the host that was dialled.
    VerifyFull,
}

const MODES: [(&str, SslMode); 5] = [
    ("disable", SslMode::Disable),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

impl SslMode {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        let named = MODES.iter().find(|(_, mode)| *mode == self);
        named.map_or("", |(name, _)| name)
    }
}

/// Whether a login is bound to the TLS session below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// Where the server can do it.
    #[default]
    Prefer,
    /// Always; a login that is not is refused.
    Require,
}

/// The TLS mode, and what goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// How much is wanted.
    pub mode: SslMode,
    /// Whether TLS is spoken at once, without asking for it.
    pub is_direct: bool,
    /// Whether a login is bound to it.
    pub channel_binding: ChannelBinding,
}

/// The value of `sslrootcert` that stands for the authorities of the system.
const SYSTEM: &str = "system";

/// Reads all options about TLS. Where the way `is_private`, nobody can be in between.
pub(super) fn read(options: &Options<'_>, is_private: bool) -> Read<(Encryption, TlsConfig)> {
    let root = non_empty(options, "sslrootcert")?;
    let given = match options.value("ssl") {
        None | Some(PlainValue::Null) => None,
        Some(given) => Some(read_ssl(&options.path_of("ssl"), given)?),
    };
    let (ssl_mode, material) = given.unwrap_or_default();
    let named = non_empty(options, "sslmode")?.is_some();
    let named = named.then(|| choice(options, "sslmode", SslMode::Prefer, &MODES));
    let mode = match (named.transpose()?, ssl_mode) {
        (named, None) => named,
        // A variable or a string says less than what the program does.
        (Some(named), Some(_)) if is_option(options, "sslmode") => Some(named),
        (_, mode) => mode,
    };
    let is_direct = choice(
        options,
        "sslnegotiation",
        false,
        &[("postgres", false), ("direct", true)],
    )?;
    let default = default_mode(is_private, root);
    let default = if is_direct {
        default.max(SslMode::Require)
    } else {
        default
    };
    let mode = mode.unwrap_or(default);
    let mut tls = material.unwrap_or_default();
    let is_unchecked = !tls.reject_unauthorized;
    read_files(options, root, &mut tls)?;
    let mode = match mode {
        // As libpq: who gives an authority wants it to be asked.
        SslMode::Require if !tls.ca.is_empty() && !is_unchecked => SslMode::VerifyCa,
        mode => mode,
    };
    check(options, mode, is_direct, root, is_unchecked)?;
    // As libpq: one that is only preferred, and not trusted, is done without.
    let is_trusted = mode == SslMode::Prefer && !tls.ca.is_empty() && !is_unchecked;
    tls.reject_unauthorized = mode >= SslMode::VerifyCa || is_trusted;
    tls.name_check = match mode {
        SslMode::VerifyFull => NameCheck::CommonName,
        _ => NameCheck::Off,
    };
    let encryption = Encryption {
        mode,
        is_direct,
        channel_binding: read_binding(options)?,
    };
    Ok((encryption, tls))
}

/// Whether an option itself is given, and not what stands for it.
fn is_option(options: &Options<'_>, key: &str) -> bool {
    options.path_of(key) == format!("options.{key}")
}

fn default_mode(is_private: bool, root: Option<&str>) -> SslMode {
    if is_private && root != Some(SYSTEM) {
        SslMode::Prefer
    } else {
        SslMode::VerifyFull
    }
}

/// `ssl`: whether TLS is spoken, a mode, or an object with certificates, which are checked.
fn read_ssl(path: &str, given: &PlainValue) -> Read<(Option<SslMode>, Option<TlsConfig>)> {
    let mode = match given {
        PlainValue::Bool(true) => SslMode::VerifyFull,
        PlainValue::Bool(false) => SslMode::Disable,
        PlainValue::Text(word) => {
            let found = MODES.iter().find(|(name, _)| name == word);
            let names = MODES.map(|(name, _)| format!("'{name}'")).join(" or ");
            let wrong =
                || OptionError::bad_value(path, format!("must be a boolean, an object or {names}"));
            found.map(|(_, mode)| *mode).ok_or_else(wrong)?
        }
        PlainValue::Map(entries) => {
            let named = entries.iter().map(|(key, value)| {
                // As Node's TLS has it.
                let key = if key == "servername" {
                    "serverName"
                } else {
                    key
                };
                (key.to_owned(), value.clone())
            });
            let named = PlainValue::Map(named.collect());
            let tls = TlsConfig::read_over(&TlsConfig::default(), Options::new(path, &named)?)?;
            let mode = if tls.reject_unauthorized {
                SslMode::VerifyFull
            } else {
                SslMode::Require
            };
            return Ok((Some(mode), Some(tls)));
        }
        other => {
            let expected = "a boolean, an object or a mode";
            return Err(OptionError::wrong_type(path, expected, other));
        }
    };
    Ok((Some(mode), None))
}

/// The files that libpq's parameters name, where `ssl` says nothing else.
fn read_files(options: &Options<'_>, root: Option<&str>, tls: &mut TlsConfig) -> Read<()> {
    if let Some(root) = root.filter(|root| *root != SYSTEM && tls.ca.is_empty()) {
        tls.ca = vec![PemSource::File(root.into())];
    }
    let (cert, key) = (
        non_empty(options, "sslcert")?,
        non_empty(options, "sslkey")?,
    );
    match (cert, key) {
        (Some(cert), Some(key)) if tls.identity.is_none() => {
            tls.identity = Some((PemSource::File(cert.into()), PemSource::File(key.into())));
        }
        (Some(_), None) => return missing(options, "sslkey"),
        (None, Some(_)) => return missing(options, "sslcert"),
        _ => {}
    }
    let versions = [
        ("", TlsVersion::V1_2),
        // Older ones than 1.2 are not spoken.
        ("TLSv1", TlsVersion::V1_2),
        ("TLSv1.1", TlsVersion::V1_2),
        ("TLSv1.2", TlsVersion::V1_2),
        ("TLSv1.3", TlsVersion::V1_3),
    ];
    tls.min_version = choice(options, "sslMinProtocolVersion", tls.min_version, &versions)?;
    Ok(())
}

fn missing(options: &Options<'_>, key: &str) -> Read<()> {
    let reason = "is required: sslcert and sslkey must be given together";
    Err(OptionError::bad_value(&options.path_of(key), reason))
}

fn check(
    options: &Options<'_>,
    mode: SslMode,
    is_direct: bool,
    root: Option<&str>,
    is_unchecked: bool,
) -> Read<()> {
    let weak = |key: &str| {
        let reason = format!("cannot be used with sslmode '{}'", mode.as_str());
        Err(OptionError::bad_value(&options.path_of(key), reason))
    };
    if is_direct && mode < SslMode::Require {
        return weak("sslnegotiation");
    }
    if root == Some(SYSTEM) && mode < SslMode::VerifyFull {
        return weak("sslrootcert");
    }
    if is_unchecked && mode >= SslMode::VerifyCa {
        return weak("ssl.rejectUnauthorized");
    }
    Ok(())
}

fn read_binding(options: &Options<'_>) -> Read<ChannelBinding> {
    let choices = [
        ("disable", ChannelBinding::Disable),
        ("prefer", ChannelBinding::Prefer),
        ("require", ChannelBinding::Require),
    ];
    choice(
        options,
        "channelBinding",
        ChannelBinding::default(),
        &choices,
    )
}
