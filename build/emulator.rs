//! The emulator's runtime, and every file of kernels as C++20.

use crate::source::Source;
use std::fs;
use std::path::Path;

/// # Errors
/// No C++20 compiler, or a source that it refuses.
pub fn build(root: &Path, out: &Path, sources: &[Source], of_tests: &[Source]) -> Result<(), String> {
    // Kernels of the tests stand in an archive of their own, of which a linker takes nothing unless a test names it.
    compile_kernels(root, out, of_tests, "crosstalk_test_kernels")?;
    compile_kernels(root, out, sources, "crosstalk_emulated_kernels")?;
    let mut runtime = compiler(root);
    runtime.opt_level(2).include(root.join("emulator/runtime"));
    for entry in
        fs::read_dir(root.join("emulator/runtime")).map_err(|error| format!("emulator/runtime: {error}"))?.flatten()
    {
        if entry.path().extension().is_some_and(|extension| extension == "cpp") {
            runtime.file(entry.path());
        }
    }
    run(&runtime, "crosstalk_emulator")
}

fn compile_kernels(root: &Path, out: &Path, sources: &[Source], archive: &str) -> Result<(), String> {
    let mut kernels = compiler(root);
    // The compiler announces every access to memory; emulator/runtime/hooks.cpp listens.
    kernels.opt_level(1).flag("-fsanitize=thread").flag("-ffp-contract=off").flag("-fno-strict-aliasing");
    // Otherwise a vector is loaded in parts, whose alignment says nothing.
    kernels.flag_if_supported("-fno-tree-sra");
    kernels.include(root.join("kernels"));
    for source in sources {
        let path = out.join(format!("{}_emulated.cpp", source.name));
        fs::write(&path, wrapper(source)).map_err(|error| format!("{}: {error}", path.display()))?;
        kernels.file(&path);
    }
    run(&kernels, archive)
}

/// The kernels of a file and a table of them.
fn wrapper(source: &Source) -> String {
    let entries: Vec<String> =
        source.kernels.iter().map(|name| format!("    emulator::entry<{name}>(\"{name}\"),\n")).collect();
    format!(
        "#include \"cuda_language.h\"\n#include {:?}\nextern \"C\" {{\nextern const emulator::Kernel crosstalk_kernels_{}[];\n\
         const emulator::Kernel crosstalk_kernels_{}[] = {{\n{}}};\n}}\n",
        source.path,
        source.name,
        source.name,
        entries.concat()
    )
}

fn compiler(root: &Path) -> cc::Build {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++20").include(root.join("emulator/include")).debug(false);
    // Fortified jumps refuse to change stacks.
    build.flag("-U_FORTIFY_SOURCE").flag_if_supported("-Wno-clobbered").flag_if_supported("-Wno-unknown-pragmas");
    build
}

fn run(build: &cc::Build, archive: &str) -> Result<(), String> {
    build.try_compile(archive).map_err(|error| {
        format!("the emulator of CUDA kernels does not compile; install a C++20 compiler (g++ 11 or clang++ 14, or newer): {error}")
    })
}
