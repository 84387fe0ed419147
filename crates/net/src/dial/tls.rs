//! The TLS configuration of the addon: rustls with the aws-lc-rs provider.
//!
//! There is one shape of the `tls` option for all services.

use std::{
    env, fmt, fs,
    path::PathBuf,
    sync::{Arc, LazyLock},
};

use moorline_core::{
    error::{Failure, Kind, Outcome},
    options::{OptionError, Options, PlainValue, Read},
    secret::Secret,
};
use rustls::{
    ClientConfig, InconsistentKeys, RootCertStore, SupportedProtocolVersion,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};

use super::{
    certificate::{Checked, NameCheck, Unchecked, is_unreadable},
    public_key,
};

const PEM_MARK: &str = "-----BEGIN";

/// PEM text, or the file it is in. A file is read when the first TLS connection is made, and again when it changes.
#[derive(Clone, PartialEq, Eq)]
pub enum PemSource {
    /// The text itself, which may be a private key.
    Inline(Secret),
    /// The path of a file.
    File(PathBuf),
}

impl PemSource {
    fn read(&self) -> Outcome<Secret> {
        match self {
            Self::Inline(pem) => Ok(pem.clone()),
            Self::File(path) => fs::read(path)
                .map(Secret::new)
                .map_err(|error| unusable(&format!("cannot read {}", path.display()), &error)),
        }
    }

    fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::Inline(_) => None,
            Self::File(path) => Some(path),
        }
    }

    /// Reads PEM text or its bytes, or a path.
    pub fn from_plain(path: &str, value: &PlainValue) -> Read<Self> {
        match value {
            PlainValue::Text(text) if text.contains(PEM_MARK) => {
                Ok(Self::Inline(Secret::new(text.clone())))
            }
            PlainValue::Text(file) => Ok(Self::File(file.into())),
            PlainValue::Bytes(bytes) => Ok(Self::Inline(Secret::new(bytes.clone()))),
            other => Err(OptionError::wrong_type(
                path,
                "PEM text, its bytes or the path of a PEM file",
                other,
            )),
        }
    }
}

impl fmt::Debug for PemSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("Inline(…)"),
            Self::File(path) => write!(f, "File({})", path.display()),
        }
    }
}

/// The oldest TLS version that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2, the default.
    #[default]
    V1_2,
    /// TLS 1.3.
    V1_3,
}

impl TlsVersion {
    fn and_newer(self) -> &'static [&'static SupportedProtocolVersion] {
        const NEWEST_FIRST: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
        match self {
            Self::V1_2 => NEWEST_FIRST,
            Self::V1_3 => &NEWEST_FIRST[..1],
        }
    }
}

/// The `tls` option of every service: `{ ca, cert, key, passphrase, serverName, minVersion, rejectUnauthorized }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// `ca`: the trusted authorities, instead of the default ones (as in Node). Empty: the default ones.
    pub ca: Vec<PemSource>,
    /// `cert` and `key`: the client's certificate chain and its private key.
    pub identity: Option<(PemSource, PemSource)>,
    /// `serverName`: the name the certificate must be valid for, instead of the host of the URL.
    pub server_name: Option<ServerName<'static>>,
    /// `minVersion`: `'TLSv1.2'` (default) or `'TLSv1.3'`.
    pub min_version: TlsVersion,
    /// `rejectUnauthorized`: whether the server's certificate is checked (default `true`).
    pub reject_unauthorized: bool,
    /// How a certificate that is checked has to be for the server's name, too; services say it.
    pub name_check: NameCheck,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            ca: Vec::new(),
            identity: None,
            server_name: None,
            min_version: TlsVersion::default(),
            reject_unauthorized: true,
            name_check: NameCheck::default(),
        }
    }
}

impl TlsConfig {
    /// Reads a `tls` object; what it does not say comes from `defaults`.
    pub fn read_over(defaults: &Self, options: Options<'_>) -> Read<Self> {
        let ca = match options.value("ca") {
            None => Vec::new(),
            Some(PlainValue::List(items)) => items
                .iter()
                .enumerate()
                .map(|(index, item)| {
                    PemSource::from_plain(&format!("{}[{index}]", options.path_of("ca")), item)
                })
                .collect::<Read<_>>()?,
            Some(one) => vec![PemSource::from_plain(&options.path_of("ca"), one)?],
        };
        let identity = read_identity(&options)?;
        let server_name = options
            .text("serverName")?
            .map(|name| ServerName::try_from(name.to_owned()))
            .transpose()
            .map_err(|_| {
                OptionError::bad_value(
                    &options.path_of("serverName"),
                    "must be a host name or an IP address",
                )
            })?;
        let read = Self {
            ca,
            identity,
            server_name,
            min_version: options.choice(
                "minVersion",
                defaults.min_version,
                &[("TLSv1.2", TlsVersion::V1_2), ("TLSv1.3", TlsVersion::V1_3)],
            )?,
            reject_unauthorized: options
                .flag("rejectUnauthorized", defaults.reject_unauthorized)?,
            name_check: defaults.name_check,
        };
        options.finish()?;
        Ok(read)
    }

    /// The files among them.
    pub(super) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let identity = self.identity.iter().flat_map(|(cert, key)| [cert, key]);
        self.ca.iter().chain(identity).filter_map(PemSource::file)
    }

    /// The rustls configuration for these options. It may read files and load the system's roots: call it on a
    /// thread that may block.
    pub fn client_config(&self) -> Outcome<ClientConfig> {
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(self.min_version.and_newer())
            .map_err(|error| unusable("unsupported TLS versions", &error))?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(provider)?);
        let Some((cert, key)) = &self.identity else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates(cert)?;
        let key = PrivateKeyDer::from_pem_slice(key.read()?.expose())
            .map_err(|error| unusable("tls.key contains no valid private key", &error))?;
        let identity = identity(chain, key)
            .map_err(|error| unusable("tls.cert and tls.key cannot be used together", &error))?;
        Ok(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))))
    }

    fn verifier(&self, provider: Arc<CryptoProvider>) -> Outcome<Arc<dyn ServerCertVerifier>> {
        if !self.reject_unauthorized {
            return Ok(Arc::new(Unchecked(provider)));
        }
        let mut given = Vec::new();
        for source in &self.ca {
            given.extend(certificates(source)?);
        }
        let roots = if self.ca.is_empty() {
            Arc::clone(&DEFAULT_ROOTS)
        } else {
            let mut roots = RootCertStore::empty();
            for certificate in &given {
                roots
                    .add(certificate.clone())
                    .map_err(|error| unusable("tls.ca contains an invalid certificate", &error))?;
            }
            Arc::new(roots)
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|error| unusable("tls.ca contains no certificate", &error))?;
        Ok(Arc::new(Checked {
            name: self.server_name.clone(),
            name_check: self.name_check,
            given,
            verifier,
        }))
    }
}

/// A certificate with its key. Which of them the server takes is the server's to say, and it may take one of version 1.
fn identity(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    let key = provider().key_provider.load_private_key(key)?;
    let identity = CertifiedKey::new(chain, key);
    match identity.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(identity),
        Err(error) if is_unreadable(&error) => {
            let of_certificate = public_key::of_certificate(identity.end_entity_cert()?);
            let of_key = identity.key.public_key();
            match (of_certificate, of_key.as_deref()) {
                (None, _) => Err(error),
                (Some(one), Some(other)) if one != other => {
                    Err(InconsistentKeys::KeyMismatch.into())
                }
                _ => Ok(identity),
            }
        }
        Err(error) => Err(error),
    }
}

fn read_identity(options: &Options<'_>) -> Read<Option<(PemSource, PemSource)>> {
    if options.value("passphrase").is_some() {
        return Err(OptionError::bad_value(
            &options.path_of("passphrase"),
            "is not supported: rustls reads no encrypted private keys; decrypt the key with `openssl pkey`",
        ));
    }
    match (options.value("cert"), options.value("key")) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Ok(Some((
            PemSource::from_plain(&options.path_of("cert"), cert)?,
            PemSource::from_plain(&options.path_of("key"), key)?,
        ))),
        (cert, _) => {
            let missing = if cert.is_some() { "key" } else { "cert" };
            Err(OptionError::bad_value(
                &options.path_of(missing),
                "is required: cert and key must be given together",
            ))
        }
    }
}

/// The provider of the whole addon, installed as rustls' default on first use.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        // Refused only when a default is installed already; ours is used either way.
        let _ = aws_lc_rs::default_provider().install_default();
        Arc::new(aws_lc_rs::default_provider())
    });
    Arc::clone(&PROVIDER)
}

/// The system's roots (`SSL_CERT_FILE` and `SSL_CERT_DIR` replace them, as in OpenSSL) and those of
/// `NODE_EXTRA_CA_CERTS`; the bundled ones where the system has none.
static DEFAULT_ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    if let Some(extra) = env::var_os("NODE_EXTRA_CA_CERTS") {
        // A missing or broken file is passed over, as Node does.
        let extra = PemSource::File(extra.into());
        roots.add_parsable_certificates(certificates(&extra).unwrap_or_default());
    }
    Arc::new(roots)
});

fn certificates(source: &PemSource) -> Outcome<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(source.read()?.expose())
        .collect::<Result<_, _>>()
        .map_err(|error| unusable("invalid PEM certificate", &error))
}

fn unusable(what: &str, error: &dyn std::error::Error) -> Failure {
    Failure::new(Kind::Tls, what).with_cause(error.to_string(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, PlainValue)]) -> Read<TlsConfig> {
        let value = PlainValue::Map(
            entries
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
        );
        TlsConfig::read_over(&TlsConfig::default(), Options::new("options.tls", &value)?)
    }

    fn text(value: &str) -> PlainValue {
        PlainValue::Text(value.to_owned())
    }

    #[test]
    fn nothing_given_checks_certificates_from_tls_1_2_on() {
        let options = read(&[]).unwrap();
        assert_eq!(options, TlsConfig::default());
        options.client_config().unwrap();
    }

    #[test]
    fn a_certificate_without_its_key_is_refused_by_name() {
        let error = read(&[("cert", text("/etc/client.pem"))]).unwrap_err();
        assert!(error.message.starts_with("options.tls.key "), "{error}");
    }

    #[test]
    fn an_authority_file_that_is_missing_fails_the_connection_not_the_constructor() {
        let options = read(&[("ca", text("/nonexistent/ca.pem"))]).unwrap();
        let failure = options.client_config().unwrap_err();
        assert_eq!(failure.kind, Kind::Tls);
        assert_eq!(failure.message, "cannot read /nonexistent/ca.pem");
    }

    #[test]
    fn an_authority_without_a_certificate_is_not_a_silent_fall_back_to_the_default_roots() {
        let options = read(&[("ca", text("-----BEGIN NOTHING-----"))]).unwrap();
        assert_eq!(options.client_config().unwrap_err().kind, Kind::Tls);
    }

    #[test]
    fn a_private_key_is_not_shown() {
        let key = format!("{PEM_MARK} PRIVATE KEY-----\nhunter2");
        let options = read(&[("cert", text("c.pem")), ("key", text(&key))]).unwrap();
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn the_name_to_check_and_the_oldest_version_are_read() {
        let options = read(&[
            ("serverName", text("db.example.com")),
            ("minVersion", text("TLSv1.3")),
        ])
        .unwrap();
        assert_eq!(options.min_version, TlsVersion::V1_3);
        assert!(options.server_name.is_some());
        assert!(read(&[("minVersion", text("SSLv3"))]).is_err());
        assert!(read(&[("serverName", text("not a name"))]).is_err());
    }
}
