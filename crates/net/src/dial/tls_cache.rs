//! The TLS configurations of a dialer, kept, and made anew when their files change.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use moorline_core::{error::Outcome, sync::lock};
use rustls::ClientConfig;
use tokio::time::Instant;

use super::tls::TlsConfig;
use crate::blocking::run_blocking;

/// The files are looked at no more often than this.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The protocols offered by ALPN, by preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alpn(&'static [&'static str]);

impl Alpn {
    /// Nothing.
    pub const NONE: Self = Self::of(&[]);
    /// HTTP/1.1: for what begins as an HTTP/1 request.
    pub const HTTP1: Self = Self::of(&["http/1.1"]);
    /// HTTP/2 and HTTP/1.1.
    pub const HTTP: Self = Self::of(&["h2", "http/1.1"]);

    /// These protocols, by their registered names.
    pub const fn of(protocols: &'static [&'static str]) -> Self {
        Self(protocols)
    }
}

/// The time and length of each file, as they were when it was read.
type Stamps = Vec<Option<(SystemTime, u64)>>;

/// One configuration for each offer; they share their roots and their sessions.
struct Configs {
    base: ClientConfig,
    by_offer: Mutex<Vec<(Alpn, Arc<ClientConfig>)>>,
    stamps: Stamps,
}

#[derive(Default)]
struct State {
    configs: Option<Arc<Configs>>,
    looked: Option<Instant>,
}

/// Builds the configurations at the first TLS connection.
pub(super) struct Secure {
    options: TlsConfig,
    state: Mutex<State>,
    /// Two connections at once build them once.
    building: tokio::sync::Mutex<()>,
}

impl Secure {
    pub(super) fn new(options: TlsConfig) -> Self {
        Self {
            options,
            state: Mutex::default(),
            building: tokio::sync::Mutex::default(),
        }
    }

    /// The configuration for a connection made now.
    pub(super) async fn config(&self, alpn: Alpn) -> Outcome<Arc<ClientConfig>> {
        if let Some(configs) = self.fresh() {
            return Ok(configs.offering(alpn));
        }
        let _alone = self.building.lock().await;
        if let Some(configs) = self.fresh() {
            return Ok(configs.offering(alpn));
        }
        let (options, known) = (self.options.clone(), self.state().configs.clone());
        // Reads files, and parses some 140 certificates when the system's roots are loaded.
        let built = run_blocking(move || rebuilt(&options, known)).await??;
        let mut state = self.state();
        state.configs = Some(Arc::clone(&built));
        state.looked = Some(Instant::now());
        Ok(built.offering(alpn))
    }

    /// The configurations, unless it is time to look at the files.
    fn fresh(&self) -> Option<Arc<Configs>> {
        let state = self.state();
        let fresh = self.options.files().next().is_none()
            || state.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY);
        state.configs.clone().filter(|_| fresh)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// The known configurations while their files are as they were, else new ones. Files that cannot be used are
/// passed over while there is an older configuration: they are being written right now.
fn rebuilt(options: &TlsConfig, known: Option<Arc<Configs>>) -> Outcome<Arc<Configs>> {
    let stamps: Stamps = options.files().map(stamp).collect();
    match known {
        Some(known) if known.stamps == stamps => Ok(known),
        Some(known) => Ok(Configs::build(options, stamps).map_or(known, Arc::new)),
        None => Configs::build(options, stamps).map(Arc::new),
    }
}

fn stamp(file: &PathBuf) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

impl Configs {
    fn build(options: &TlsConfig, stamps: Stamps) -> Outcome<Self> {
        Ok(Self {
            base: options.client_config()?,
            by_offer: Mutex::default(),
            stamps,
        })
    }

    fn offering(&self, alpn: Alpn) -> Arc<ClientConfig> {
        let mut by_offer = lock(&self.by_offer);
        if let Some((_, config)) = by_offer.iter().find(|(offer, _)| *offer == alpn) {
            return Arc::clone(config);
        }
        let mut config = self.base.clone();
        config.alpn_protocols = alpn.0.iter().map(|it| it.as_bytes().to_vec()).collect();
        let config = Arc::new(config);
        by_offer.push((alpn, Arc::clone(&config)));
        config
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustls::RootCertStore;

    use super::*;
    use crate::dial::tls::PemSource;

    /// Any certificate will do; the system has some.
    fn pem() -> Option<String> {
        let certificate = rustls_native_certs::load_native_certs().certs.pop()?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).ok()?;
        let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &certificate);
        Some(format!(
            "-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"
        ))
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_changes_is_read_again_and_a_broken_one_changes_nothing() {
        let Some(pem) = pem() else { return };
        let name = format!("moorline-dial-{}.pem", std::process::id());
        let file = std::env::temp_dir().join(name);
        fs::write(&file, &pem).unwrap();
        let secure = Secure::new(TlsConfig {
            ca: vec![PemSource::File(file.clone())],
            ..TlsConfig::default()
        });
        let first = secure.config(Alpn::HTTP).await.unwrap();
        let again = secure.config(Alpn::HTTP).await.unwrap();
        assert!(Arc::ptr_eq(&first, &again), "nothing has changed");

        tokio::time::advance(LOOK_EVERY).await;
        fs::write(&file, "-----BEGIN CERTIFICATE-----\nhalf a fi").unwrap();
        let broken = secure.config(Alpn::HTTP).await.unwrap();
        assert!(Arc::ptr_eq(&first, &broken), "the last good one is kept");

        tokio::time::advance(LOOK_EVERY).await;
        fs::write(&file, format!("{pem}{pem}")).unwrap();
        let renewed = secure.config(Alpn::HTTP).await.unwrap();
        assert!(!Arc::ptr_eq(&first, &renewed));
        fs::remove_file(&file).unwrap();
    }
}
