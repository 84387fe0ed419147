//! The connector of a pool of objects, which asks their owner for everything.

use std::sync::Arc;

use moorline_core::error::{Failure, Outcome};

use super::{
    Request,
    requests::{Object, PendingRequests},
};
use crate::pool::Connect;

/// Makes, checks and closes objects by requests to their owner.
pub(super) struct ObjectConnector(pub(super) Arc<PendingRequests>);

impl Connect for ObjectConnector {
    type Connection = Object;

    async fn connect(&self) -> Outcome<Object> {
        let made = self.0.request(|id| Request::Create { id }).await?;
        made.ok_or_else(Failure::defect)
    }

    fn is_usable(&self, object: &Object) -> bool {
        !object.is_dead()
    }

    async fn validate(&self, object: &mut Object) -> Outcome<()> {
        let object = object.number;
        let check = |id| Request::Check { id, object };
        self.0.request(check).await.map(drop)
    }

    async fn close(&self, object: Object) {
        let object = object.into_number();
        let close = |id| Request::Close {
            id: Some(id),
            object,
        };
        // The owner has reported a problem already, where the error is.
        drop(self.0.request(close).await);
    }
}
