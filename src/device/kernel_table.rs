//! What the compiler made of every kernel: `kernels/table.csv`, which scripts/kernel-table writes.

/// One kernel on one architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompiledKernel {
    /// Of a thread.
    pub registers: u32,
    /// That a multiprocessor holds by threads and registers.
    pub blocks: u32,
    /// Tensor-core instructions.
    pub tensor_instructions: u32,
}

const TABLE: &str = include_str!("../../kernels/table.csv");

/// A kernel of an architecture, as `sm_90a`; none if the table lacks it.
pub fn compiled_kernel(kernel: &str, architecture: &str) -> Option<CompiledKernel> {
    let mut lines = TABLE.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next()?;
    let row = lines.find(|row| row[..2] == [kernel, architecture])?;
    let number = |column: &str| row[header.iter().position(|name| *name == column)?].parse().ok();
    Some(CompiledKernel {
        registers: number("registers")?,
        blocks: number("blocks")?,
        tensor_instructions: number("HMMA")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::facts::DEVICES;
    use crate::device::modules::MODULES;

    #[test]
    fn the_table_has_every_kernel_on_the_architecture_of_every_device() {
        for kernel in MODULES.iter().flat_map(|module| module.kernels) {
            for device in DEVICES {
                let found = compiled_kernel(kernel, device.architecture);
                assert!(found.is_some_and(|found| found.registers > 0 && found.blocks > 0), "{kernel}: {found:?}");
            }
        }
        assert_eq!(compiled_kernel("sgd_update", "sm_1"), None);
    }
}
