//! Links the addon for Node.js.

fn main() {
    napi_build::setup();
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // The runtime's threads outlive the last JavaScript environment, so their code must stay mapped.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
    // An older glibc than this machine's, for a binary that others run (scripts/lib/sysroot.mjs).
    println!("cargo:rerun-if-env-changed=MOORLINE_SYSROOT");
    if let Ok(sysroot) = std::env::var("MOORLINE_SYSROOT") {
        println!("cargo:rustc-cdylib-link-arg=--sysroot={sysroot}");
        // Named, because the compiler looks in the machine's own directories first.
        for directory in ["usr/lib", "lib"] {
            println!("cargo:rustc-cdylib-link-arg=-L{sysroot}/{directory}");
        }
    }
}
