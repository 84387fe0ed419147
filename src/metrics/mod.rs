//! The metrics of the process, as text.

use moorline_core::{
    metrics::{Page, Registry},
    resilience::registry,
};
use moorline_net::pool;
use napi_derive::napi;

/// Everything that is counted as Prometheus text.
#[napi(catch_unwind)]
pub fn metrics_text() -> String {
    pool::refresh();
    registry::Registry::process().publish();
    let mut page = Page::new();
    Registry::process().write(&mut page);
    page.into_text()
}
