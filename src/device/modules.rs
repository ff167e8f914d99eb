//! The kernels that this program was built with.

/// A file of kernels.
pub struct Module {
    /// The file's name without its ending.
    pub name: &'static str,
    pub kernels: &'static [&'static str],
    /// Machine code for every architecture, if there was an nvcc; starts at a multiple of 64 bytes.
    pub fatbin: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/kernels.rs"));

/// True if kernels for GPUs are part of this program.
pub fn embedded() -> bool {
    MODULES.iter().any(|module| module.fatbin.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_has_kernels_and_an_aligned_fatbin_where_nvcc_was_found() {
        assert!(!MODULES.is_empty());
        for module in MODULES {
            assert!(!module.kernels.is_empty(), "{}", module.name);
            assert_eq!(module.fatbin.is_some(), TOOLCHAIN.is_some(), "{}", module.name);
            // The magic number of a fatbin.
            let start = [0x50, 0xed, 0x55, 0xba];
            assert!(
                module
                    .fatbin
                    .is_none_or(|bytes| bytes.starts_with(&start) && (bytes.as_ptr() as usize).is_multiple_of(64))
            );
        }
    }
}
