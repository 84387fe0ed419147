//! The cost of one HMAC-SHA256 on each backend.
//!
//! `cargo bench -p moorline-core --bench mac`
//!
//! aws-lc heeds `OPENSSL_ia32cap=:~0x20000000`, which hides the SHA instructions from it as on an older
//! processor; the Rust crates do not. The figures that decided are in `docs/adr/0004-two-mac-backends.md`.

use std::{hint::black_box, time::Instant};

use moorline_core::webhook::{
    Mac,
    mac::{Function, aws_lc, rust_crypto},
};

fn main() {
    let key = b"whsec_bench_5Kk2Yp0cQ1";
    let backends = [
        ("hmac + sha2", rust_crypto(Function::HmacSha256, key)),
        ("aws-lc-rs", Some(aws_lc(Function::HmacSha256, key))),
    ];
    for size in [0, 256, 1024, 32 * 1024, 100 * 1024] {
        let body = vec![b'x'; size];
        for (name, mac) in &backends {
            if let Some(mac) = mac {
                println!(
                    "{size:>7} B  {name:<12} {:>9.0} ns",
                    best_ns(mac.as_ref(), &body)
                );
            }
        }
    }
}

/// The best of many rounds: whatever else the machine does only adds to it.
fn best_ns(mac: &dyn Mac, body: &[u8]) -> f64 {
    let repeats = 2_000_000 / (body.len() + 2000);
    (0..50)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..repeats {
                black_box(mac.tag(&[b"1700000000.", black_box(body)]));
            }
            started.elapsed().as_nanos() as f64 / repeats as f64
        })
        .fold(f64::INFINITY, f64::min)
}
