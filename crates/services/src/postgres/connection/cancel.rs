//! The cancellation of what a session does.

use std::time::Duration;

use bytes::BytesMut;
use moorline_core::error::Outcome;
use postgres_protocol::message::frontend;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::postgres::{
    driver::{Link, RequestId},
    error::lost,
    negotiation::Way,
};

/// The time that a cancelled statement has to end, before the next one is cancelled.
pub(super) const CANCEL_INTERVAL: Duration = Duration::from_millis(20);

/// Has the server cancel a request until it has answered: a cancellation that overtakes its statement does nothing.
pub(super) async fn cancel_until_answered(
    link: &Link,
    canceller: &Canceller,
    id: RequestId,
) -> Outcome<()> {
    let mut interval = CANCEL_INTERVAL;
    loop {
        canceller.cancel().await?;
        if timeout(interval, link.answered(id)).await.is_ok() {
            return Ok(());
        }
        interval *= 2;
    }
}

/// Asks a server to cancel what a session does.
#[derive(Clone)]
pub(in crate::postgres) struct Canceller {
    pub(in crate::postgres) way: Way,
    pub(in crate::postgres) process_id: i32,
    pub(in crate::postgres) secret_key: i32,
}

impl Canceller {
    /// Asks, and waits until the server has passed it on: from then on it hits nothing that is sent later.
    pub(super) async fn cancel(&self) -> Outcome<()> {
        let mut stream = self.way.open().await?;
        let mut request = BytesMut::new();
        frontend::cancel_request(self.process_id, self.secret_key, &mut request);
        let asked = async {
            stream.write_all(&request).await?;
            stream.flush().await?;
            // It answers by ending the connection.
            stream.read(&mut [0]).await
        };
        asked.await.map(drop).map_err(|error| lost(Some(&error)))
    }
}
