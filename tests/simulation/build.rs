//! The functions that `src/interposed.rs` puts in the place of libc's are found by name, so that even who looks them up
//! while the program runs gets them.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-bins=-rdynamic");
}
