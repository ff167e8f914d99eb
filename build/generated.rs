//! Rust sources that `src/device` includes.

use crate::fatbins::Built;
use crate::source::Source;
use std::fs;
use std::path::Path;

/// `kernels.rs`: every module with its kernels and its fatbin.
pub fn write_modules(out: &Path, sources: &[Source], built: &Built) {
    let module = |(index, source): (usize, &Source)| {
        let fatbin = match built.fatbins.get(index) {
            Some(path) => {
                format!("Some({{ static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!({path:?})); &FILE.0 }})")
            }
            None => "None".to_owned(),
        };
        format!("    Module {{ name: {:?}, kernels: &{:?}, fatbin: {} }},\n", source.name, source.kernels, fatbin)
    };
    let modules: String = sources.iter().enumerate().map(module).collect();
    let aligned = "#[repr(C, align(64))]\nstruct Aligned<B: ?Sized>(B);\n";
    let aligned = if built.fatbins.is_empty() { "" } else { aligned };
    let text = format!(
        "{aligned}pub static MODULES: &[Module] = &[\n{modules}];\npub static ARCHITECTURES: &[&str] = &{:?};\npub static TOOLCHAIN: Option<&str> = {:?};\n",
        built.architectures, built.toolchain
    );
    write(&out.join("kernels.rs"), &text);
}

/// The tables of kernels that the emulator was compiled with, as `embedded()`.
pub fn write_emulated(path: &Path, sources: &[Source]) {
    let declare =
        |s: &Source| format!("    static crosstalk_kernels_{}: [EmulatedKernel; {}];\n", s.name, s.kernels.len());
    let declarations: String = sources.iter().map(declare).collect();
    let tables: Vec<String> = sources.iter().map(|source| format!("&crosstalk_kernels_{}", source.name)).collect();
    let text = format!(
        "unsafe extern \"C\" {{\n{declarations}}}\n\n\
         fn embedded() -> [&'static [EmulatedKernel]; {}] {{\n    \
         // SAFETY: constant tables of these lengths, as generated beside them.\n    unsafe {{ [{}] }}\n}}\n",
        sources.len(),
        tables.join(", ")
    );
    write(path, &text);
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
