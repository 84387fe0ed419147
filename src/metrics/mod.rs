//! The metrics of the process, as text.

use moorline_core::{
    metrics::{Registry, TextExposition},
    resilience::registry,
};
use moorline_net::pool;
use napi_derive::napi;

/// Everything that is counted as Prometheus text.
#[napi(catch_unwind)]
pub fn metrics_text() -> String {
    pool::refresh();
    registry::Registry::global().publish();
    let mut exposition = TextExposition::new();
    Registry::global().write(&mut exposition);
    exposition.into_text()
}
