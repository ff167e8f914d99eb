//! What can go wrong with a device.

use super::{DeviceMemory, Fault};

/// Why there is no usable GPU.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error(
        "there is no NVIDIA driver (libcuda cannot be loaded): install it; in a container, start that with access to the GPU"
    )]
    NoDriver,

    #[error("the NVIDIA driver does not answer ({0}): install one that fits the GPU, version 580 or newer")]
    DriverFails(String),

    #[error("the NVIDIA driver finds no GPU: check `nvidia-smi` and CUDA_VISIBLE_DEVICES")]
    NoDevice,

    #[error("there is no GPU {ordinal}: choose 0 to {}", count - 1)]
    NoSuchDevice { ordinal: usize, count: usize },

    #[error(
        "GPU {name} has compute capability {}.{}, but this program's kernels need 8.0 or newer: use --device cpu", capability.0, capability.1
    )]
    TooOld { name: String, capability: (i32, i32) },

    #[error(
        "this program was built without kernels for GPUs: run scripts/cuda-toolchain, or set NVCC or CUDA_HOME, and build again"
    )]
    NoKernels,
}

/// One sentence each: where, what is wrong, what to do.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error(transparent)]
    Unusable(#[from] Unusable),

    #[error(
        "buffer `{name}` of {bytes} bytes does not fit into device memory{}; lower data.batch, step.lanes or replicas", left(.memory)
    )]
    OutOfMemory {
        name: String,
        bytes: usize,
        /// Where the driver tells.
        memory: Option<DeviceMemory>,
    },

    #[error("buffer `{name}` holds {len} elements, but {values} were given")]
    Length { name: String, values: usize, len: usize },

    #[error("there is no kernel `{0}` in this program")]
    UnknownKernel(String),

    #[error("kernel `{kernel}` takes arguments of {expected:?} bytes, but was given {given:?}")]
    Arguments { kernel: String, expected: Vec<usize>, given: Vec<usize> },

    #[error(
        "the kernels for {architectures} do not run on GPU {name}: build again with its architecture in CROSSTALK_CUDA_ARCHS"
    )]
    Architecture { name: String, architectures: String },

    #[error("kernel `{}`: {}", .0.kernel, .0)]
    Fault(Box<Fault>),

    #[error(
        "stage `{stage}` does not fit a GPU: its kernel {kernel} needs {needed} KiB of shared memory, but a block has at most {most}; compute on the CPU, or with a smaller kernel, dilation or number of channels"
    )]
    SharedMemory { stage: String, kernel: &'static str, needed: u32, most: u32 },

    #[error(
        "stage `{stage}` reads the network's input, which on a GPU only convolutions can: begin the stem with a convolution, or compute on the CPU"
    )]
    ReadsImage { stage: String },

    #[error(
        "stage `{stage}` is not computed on a GPU: more pixels lie around a tile of its maps than kernels count; compute on the CPU, or with a smaller kernel, stride or dilation"
    )]
    Neighbourhood { stage: String },

    #[error("{doing}: the CUDA driver reports {error}")]
    Driver { doing: String, error: String },
}

impl DeviceError {
    pub(super) fn out_of_memory(name: &str, bytes: usize, memory: Option<DeviceMemory>) -> Self {
        Self::OutOfMemory { name: name.to_owned(), bytes, memory }
    }
}

/// Who holds a memory that does not suffice.
fn left(memory: &Option<DeviceMemory>) -> String {
    let Some(memory) = memory else { return String::new() };
    let [free, total, own, taken] = [memory.free, memory.total, memory.own, memory.taken()].map(|bytes| bytes >> 20);
    format!(
        ": {free} of {total} MiB are free, {own} MiB are in other buffers of this program, {taken} MiB are held by the driver or other processes"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_does_not_suffice_is_told_by_who_holds_it() {
        const MIB: usize = 1 << 20;
        let memory = DeviceMemory { free: 100 * MIB, total: 1000 * MIB, own: 300 * MIB };
        assert_eq!([memory.available(), memory.taken()], [400 * MIB, 600 * MIB]);
        let told = DeviceError::out_of_memory("feature maps", 123, Some(memory)).to_string();
        let expected = "buffer `feature maps` of 123 bytes does not fit into device memory: 100 of 1000 MiB are free, 300 MiB are in other \
                        buffers of this program, 600 MiB are held by the driver or other processes; lower data.batch, step.lanes or replicas";
        assert_eq!(told, expected);
        let untold = DeviceError::out_of_memory("banks", 5, None).to_string();
        assert!(untold.starts_with("buffer `banks` of 5 bytes does not fit into device memory; lower"), "{untold}");
    }
}
