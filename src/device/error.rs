//! What can go wrong with a device.

use super::Fault;

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

    #[error("buffer `{name}` of {bytes} bytes does not fit into device memory: lower the batch or the number of lanes")]
    OutOfMemory { name: String, bytes: usize },

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

    #[error("{doing}: the CUDA driver reports {error}")]
    Driver { doing: String, error: String },
}
