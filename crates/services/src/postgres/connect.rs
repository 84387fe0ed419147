//! Connecting: the byte stream, TLS, the login; and what the pool does with connections.

use std::sync::{Arc, OnceLock, Weak};

use bytes::BytesMut;
use moorline_core::error::{Delivery, Failure, Outcome};
use moorline_net::{
    dial::Dialer,
    pool::{Connect, Pool},
};
use tokio::runtime::Handle;

use super::{
    address::Address,
    auth::{Login, log_in},
    config::Config,
    connection::{Canceller, Connection, ConnectionListener},
    error::SERVICE,
};

/// Opens connections to a server.
pub struct Connector {
    address: Address,
    dialer: Arc<Dialer>,
    login: Login,
    runtime: Handle,
    pool: PoolCell,
}

/// The pool of a connector, once it is there: it hears of connections that end while they are free.
pub(super) type PoolCell = Arc<OnceLock<Weak<dyn Evict>>>;

/// What closes the free connections of a pool that have ended.
pub(super) trait Evict: Send + Sync {
    fn evict(&self);
}

impl Evict for Pool<Connector> {
    fn evict(&self) {
        self.evict_unusable();
    }
}

impl Connector {
    pub(super) fn new(config: &Config, runtime: Handle, pool: PoolCell) -> Self {
        let is_private = matches!(config.address, Address::Directory(..));
        Self {
            address: config.address.clone(),
            login: Login {
                user: config.user.clone(),
                parameters: vec![
                    ("database".to_owned(), config.database.clone()),
                    (
                        "application_name".to_owned(),
                        config.application_name.clone(),
                    ),
                    ("client_encoding".to_owned(), "UTF8".to_owned()),
                ],
                password: config.password.clone(),
                reveals_password: config.allows_plain_password
                    || is_private
                    || config.dial.tunnel.is_some(),
                end_point: None,
            },
            dialer: Dialer::new(config.dial.clone()),
            runtime,
            pool,
        }
    }

    async fn open(&self) -> Outcome<Connection> {
        let mut stream = self.address.dial(&self.dialer).await?;
        let mut received = BytesMut::new();
        let session = log_in(&mut stream, &mut received, &self.login).await?;
        let canceller = Canceller {
            address: self.address.clone(),
            dialer: Arc::clone(&self.dialer),
            process_id: session.process_id,
            secret_key: session.secret_key,
        };
        let listener = Arc::new(EndListener(self.pool.get().cloned()));
        Ok(Connection::start(
            stream,
            received,
            session,
            canceller,
            listener,
            &self.runtime,
        ))
    }
}

/// Tells a pool that one of its connections has ended.
struct EndListener(Option<Weak<dyn Evict>>);

impl ConnectionListener for EndListener {
    fn on_end(&self, failure: Option<&Failure>) {
        if failure.is_some()
            && let Some(pool) = self.0.as_ref().and_then(Weak::upgrade)
        {
            pool.evict();
        }
    }
}

impl Connect for Connector {
    type Connection = Arc<Connection>;

    async fn connect(&self) -> Outcome<Arc<Connection>> {
        let opened = self.open().await.map(Arc::new);
        // Whatever was to be done with it, nothing of that was sent.
        opened.map_err(|failure| {
            failure
                .with_delivery(Delivery::None)
                .during(SERVICE, "connect")
        })
    }

    fn is_usable(&self, connection: &Arc<Connection>) -> bool {
        !connection.is_over()
    }

    fn needs_recycling(&self, connection: &Arc<Connection>) -> bool {
        !connection.is_clean()
    }

    async fn recycle(&self, connection: &mut Arc<Connection>) -> Outcome<()> {
        connection.clean().await
    }

    async fn validate(&self, connection: &mut Arc<Connection>) -> Outcome<()> {
        connection.run_to_end("").await
    }

    async fn close(&self, connection: Arc<Connection>) {
        connection.close();
        connection.ended().await;
    }
}
