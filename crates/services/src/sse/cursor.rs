//! A durable cursor: the last event id, written at once, then at an interval.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use moorline_core::{
    cursor::CursorStore,
    error::{Failure, Outcome},
    sync::lock,
};
use tokio::{runtime::Handle, time::sleep};

use super::{
    error::{SERVICE, unsendable_stored_id},
    id::is_sendable,
};

/// Between two writes: what a crash may make come again.
const INTERVAL: Duration = Duration::from_millis(200);
/// Writes that fail come less and less often, down to this.
const MAX_INTERVAL: Duration = Duration::from_secs(30);

/// The callback for the failure of a write in the background, and of a stored id that cannot be used.
pub type OnWriteFailed = Box<dyn Fn(Failure) + Send + Sync>;

/// The place of one reader.
pub struct Cursor {
    store: Arc<dyn CursorStore>,
    name: String,
    state: Mutex<State>,
    /// Writes come one after the other, so that an old place never follows a new one.
    writing: tokio::sync::Mutex<()>,
    runtime: Handle,
    on_write_failed: OnWriteFailed,
}

#[derive(Default)]
struct State {
    /// Not stored yet.
    event_id: Option<String>,
    /// A write is scheduled.
    write_scheduled: bool,
}

impl Cursor {
    /// The cursor `name` of a store.
    pub fn new(
        store: Arc<dyn CursorStore>,
        name: String,
        runtime: Handle,
        on_write_failed: OnWriteFailed,
    ) -> Self {
        Self {
            store,
            name,
            state: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            runtime,
            on_write_failed,
        }
    }

    /// The place that was kept last, by this process or another. One that no request can carry is passed over.
    pub async fn load(&self) -> Outcome<Option<String>> {
        let loaded = self.store.load(&self.name).await;
        let event_id = loaded.map_err(|failure| failure.during(SERVICE, "load"))?;
        if event_id
            .as_ref()
            .is_some_and(|it| !is_sendable(it.as_bytes()))
        {
            (self.on_write_failed)(unsendable_stored_id());
            return Ok(None);
        }
        Ok(event_id)
    }

    /// Keeps a place, soon. Of those that come close together only the last is written.
    pub fn keep(self: &Arc<Self>, event_id: &str) {
        let mut state = self.state();
        state.event_id = Some(event_id.to_owned());
        if std::mem::replace(&mut state.write_scheduled, true) {
            return;
        }
        drop(state);
        let cursor = Arc::clone(self);
        self.runtime.spawn(async move { cursor.write().await });
    }

    /// Writes what is kept until there is nothing more, or writing it again would not help.
    async fn write(&self) {
        let mut pause = INTERVAL;
        loop {
            let mut retry = true;
            match self.flush().await {
                Ok(()) => pause = INTERVAL,
                Err(failure) => {
                    retry = failure.retryable;
                    pause = MAX_INTERVAL.min(pause * 2);
                    (self.on_write_failed)(failure);
                }
            }
            if retry {
                sleep(pause).await;
            }
            let mut state = self.state();
            if !retry || state.event_id.is_none() {
                state.write_scheduled = false;
                return;
            }
        }
    }

    /// Writes what is not written yet. What could not be written is kept for the next time.
    pub async fn flush(&self) -> Outcome<()> {
        let _writing = self.writing.lock().await;
        let Some(event_id) = self.state().event_id.take() else {
            return Ok(());
        };
        let stored = self.store.store(&self.name, &event_id).await;
        stored.map_err(|failure| {
            self.state().event_id.get_or_insert(event_id);
            failure.during(SERVICE, "store")
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use moorline_core::{cursor::StoreFuture, error::Kind};

    use super::*;

    #[derive(Default)]
    struct Memory {
        places: Mutex<Vec<String>>,
        /// The number of writes that fail, and whether trying again helps.
        failing: AtomicU32,
        retryable: bool,
    }

    impl CursorStore for Memory {
        fn load<'a>(&'a self, _: &'a str) -> StoreFuture<'a, Option<String>> {
            Box::pin(async { Ok(self.places.lock().unwrap().last().cloned()) })
        }

        fn store<'a>(&'a self, name: &'a str, event_id: &'a str) -> StoreFuture<'a, ()> {
            Box::pin(async move {
                let failing = &self.failing;
                let less = |left: u32| left.checked_sub(1);
                if failing
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
                    .is_ok()
                {
                    return Err(Failure::new(Kind::Rejected, "no").with_retryable(self.retryable));
                }
                self.places
                    .lock()
                    .unwrap()
                    .push(format!("{name} {event_id}"));
                Ok(())
            })
        }
    }

    fn cursor(store: &Arc<Memory>, on_write_failed: OnWriteFailed) -> Arc<Cursor> {
        let store: Arc<dyn CursorStore> = Arc::<Memory>::clone(store);
        Arc::new(Cursor::new(
            store,
            "n".to_owned(),
            Handle::current(),
            on_write_failed,
        ))
    }

    #[tokio::test(start_paused = true)]
    async fn many_places_are_few_writes_and_the_last_is_among_them() {
        let store = Arc::new(Memory::default());
        let cursor = cursor(&store, Box::new(|_| {}));
        for event_id in 0..1000 {
            cursor.keep(&event_id.to_string());
            sleep(Duration::from_millis(1)).await;
        }
        sleep(INTERVAL).await;
        let places = store.places.lock().unwrap().clone();
        assert!((3..=7).contains(&places.len()), "{places:?}");
        assert_eq!(places.last().unwrap(), "n 999");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flush_waits_for_nothing_but_the_write() {
        let store = Arc::new(Memory::default());
        let cursor = cursor(&store, Box::new(|_| {}));
        cursor.keep("1");
        cursor.flush().await.unwrap();
        assert_eq!(cursor.load().await.unwrap().unwrap(), "n 1");
        cursor.flush().await.unwrap();
        assert_eq!(store.places.lock().unwrap().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stored_place_that_cannot_be_sent_is_passed_over_and_told() {
        let store = Arc::new(Memory::default());
        let told = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&told);
        let on_write_failed =
            move |failure: Failure| hears.lock().unwrap().push(failure.code.to_string());
        let cursor = cursor(&store, Box::new(on_write_failed));
        cursor.keep("order-\u{7f}1");
        cursor.flush().await.unwrap();
        assert_eq!(cursor.load().await.unwrap(), None);
        assert_eq!(*told.lock().unwrap(), ["ERR_MOORLINE_EVENT_ID"]);
        cursor.keep("2");
        cursor.flush().await.unwrap();
        assert_eq!(cursor.load().await.unwrap().unwrap(), "n 2");
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_fails_is_told() {
        let store = Arc::new(Memory {
            failing: AtomicU32::new(1),
            ..Memory::default()
        });
        let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
        let cursor = cursor(&store, Box::new(move |failure| drop(sender.send(failure))));
        cursor.keep("1");
        let failure = told.recv().await.unwrap();
        assert_eq!((failure.kind, failure.service), (Kind::Rejected, "sse"));
        assert_eq!(failure.operation, "store");
        sleep(2 * MAX_INTERVAL).await;
        assert_eq!(store.places.lock().unwrap().len(), 0, "it would not help");
        cursor.flush().await.unwrap();
        assert_eq!(store.places.lock().unwrap().clone(), ["n 1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_may_succeed_later_is_tried_again() {
        let store = Arc::new(Memory {
            failing: AtomicU32::new(3),
            retryable: true,
            ..Memory::default()
        });
        let cursor = cursor(&store, Box::new(|_| {}));
        cursor.keep("1");
        sleep(10 * INTERVAL).await;
        cursor.keep("2");
        sleep(8 * INTERVAL).await;
        assert_eq!(store.places.lock().unwrap().clone(), ["n 2"]);
    }
}
