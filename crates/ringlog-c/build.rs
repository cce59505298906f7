//! Gives the shared library its name for the loader, which has the number of its interface.

fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libringlog.so.0");
    println!("cargo:rerun-if-changed=build.rs");
}
