//! Compiles `kernels/*.cu` twice: with nvcc into fatbins that the library embeds, where there is one, and as C++20 for the emulator.

#[path = "build/emulator.rs"]
mod emulator;
#[path = "build/fatbins.rs"]
mod fatbins;
#[path = "build/generated.rs"]
mod generated;
#[path = "build/nvcc.rs"]
mod nvcc;
#[path = "build/source.rs"]
mod source;

use std::env;
use std::path::PathBuf;

fn main() {
    for folder in ["build.rs", "build", "kernels", "emulator", "tests/kernels"] {
        println!("cargo:rerun-if-changed={folder}");
    }
    for variable in nvcc::VARIABLES.iter().chain(fatbins::VARIABLES) {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    let folder = |variable: &str| PathBuf::from(env::var_os(variable).expect("cargo sets it"));
    let (root, out) = (folder("CARGO_MANIFEST_DIR"), folder("OUT_DIR"));

    let sources = source::in_folder(&root.join("kernels"));
    let built = fatbins::build(&root, &out, &sources).unwrap_or_else(|error| stop(&error));
    generated::write_modules(&out, &sources, &built);
    if env::var_os("CARGO_CFG_UNIX").is_some() {
        let of_tests = source::in_folder(&root.join("tests/kernels"));
        emulator::build(&root, &out, &sources, &of_tests).unwrap_or_else(|error| stop(&error));
        generated::write_emulated(&out.join("emulated.rs"), &sources);
        generated::write_emulated(&out.join("test_kernels.rs"), &of_tests);
    }
}

/// Ends the build with a sentence.
fn stop(error: &str) -> ! {
    eprintln!("error: {error}");
    std::process::exit(1)
}
