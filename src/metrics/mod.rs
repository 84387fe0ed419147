//! What the process counts, for whoever collects it.

use moorline_core::{
    metrics::{Page, Registry},
    resilience::{metrics, registry},
};
use moorline_net::pool;
use napi_derive::napi;

/// Everything that is counted as Prometheus text.
#[napi(catch_unwind)]
pub fn metrics_text() -> String {
    pool::refresh();
    let mut page = Page::new();
    metrics::write(registry::Registry::process(), &mut page);
    Registry::process().write(&mut page);
    page.into_text()
}
