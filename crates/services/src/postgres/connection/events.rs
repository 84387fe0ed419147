//! What a server says without being asked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use moorline_core::{error::Failure, sync::lock};

use super::ConnectionListener;
use crate::postgres::{
    driver::Listener,
    error::ServerMessage,
    message_queue::{Message, Subscription},
};

/// The parameters that the server tells of.
#[derive(Default)]
pub(super) struct Parameters(pub(super) Mutex<HashMap<String, String>>);

/// Keeps parameters, and passes on what a server says without being asked.
pub(super) struct Events {
    pub(super) parameters: Arc<Parameters>,
    pub(super) subscription: Arc<Subscription>,
    pub(super) listener: Arc<dyn ConnectionListener>,
}

impl Listener for Events {
    fn on_notice(&self, body: &[u8]) {
        self.subscription
            .put(|| ServerMessage::parse(body).map(Message::Notice));
    }
    fn on_notification(&self, process_id: i32, channel: &str, payload: &str) {
        self.subscription.put(|| {
            Some(Message::Notification {
                process_id,
                channel: channel.to_owned(),
                payload: payload.to_owned(),
            })
        });
    }
    fn on_parameter(&self, name: &str, value: &str) {
        let (name, value) = (name.to_owned(), value.to_owned());
        lock(&self.parameters.0).insert(name.clone(), value.clone());
        self.subscription
            .put(|| Some(Message::Parameter { name, value }));
    }
    fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        self.subscription.poll_room(context)
    }
    fn on_end(&self, failure: Option<&Failure>) {
        self.listener.on_end(failure);
    }
}
