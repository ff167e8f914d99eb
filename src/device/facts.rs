//! What vendors say of GPUs: enough to predict times where there is none.

use super::Properties;

/// One model of GPU. Numbers of NVIDIA's data sheets ("NVIDIA H100 Tensor Core GPU", "NVIDIA H200 Tensor Core GPU", "NVIDIA A100 80GB", the SXM
/// models) and, for multiprocessors, L2 and shared memory, of its architecture papers and the CUDA C++ Programming Guide ("Compute
/// Capabilities").
#[derive(Clone, Copy, Debug)]
pub struct DeviceFacts {
    /// As on the command line.
    pub name: &'static str,
    pub title: &'static str,
    /// As its driver says, in `crosstalk devices` and nvidia-smi.
    pub driver_name: &'static str,
    /// Among those that kernels are compiled for.
    pub architecture: &'static str,
    pub multiprocessors: u32,
    pub memory_bytes: u64,
    pub l2_bytes: u64,
    /// Of a multiprocessor, for all its blocks.
    pub shared_bytes: u32,
    /// Bytes a second to and from memory.
    pub memory_rate: f64,
    /// FLOP/s of the tensor cores: bf16, dense.
    pub tensor_rate: f64,
    /// FLOP/s in f32 outside the tensor cores.
    pub vector_rate: f64,
}

/// Those known.
pub const DEVICES: [DeviceFacts; 3] = [
    DeviceFacts {
        name: "h100",
        title: "NVIDIA H100 SXM",
        driver_name: "NVIDIA H100 80GB HBM3",
        architecture: "sm_90a",
        multiprocessors: 132,
        memory_bytes: 80_000_000_000,
        l2_bytes: 50 << 20,
        shared_bytes: 228 << 10,
        memory_rate: 3.35e12,
        tensor_rate: 989e12,
        vector_rate: 67e12,
    },
    DeviceFacts {
        name: "h200",
        title: "NVIDIA H200 SXM",
        driver_name: "NVIDIA H200",
        architecture: "sm_90a",
        multiprocessors: 132,
        memory_bytes: 141_000_000_000,
        l2_bytes: 50 << 20,
        shared_bytes: 228 << 10,
        memory_rate: 4.8e12,
        tensor_rate: 989e12,
        vector_rate: 67e12,
    },
    DeviceFacts {
        name: "a100",
        title: "NVIDIA A100 SXM 80GB",
        driver_name: "NVIDIA A100-SXM4-80GB",
        architecture: "sm_80",
        multiprocessors: 108,
        memory_bytes: 80_000_000_000,
        l2_bytes: 40 << 20,
        shared_bytes: 164 << 10,
        memory_rate: 2.04e12,
        tensor_rate: 312e12,
        vector_rate: 19.5e12,
    },
];

/// Shared memory that the system takes of every block, on all architectures from sm_80.
const RESERVED_SHARED_BYTES: u32 = 1 << 10;

impl DeviceFacts {
    /// What its driver would say.
    pub fn properties(&self) -> Properties {
        Properties {
            multiprocessors: self.multiprocessors,
            l2_bytes: self.l2_bytes,
            memory_bytes: self.memory_bytes,
            shared_bytes_per_block: self.shared_bytes - RESERVED_SHARED_BYTES,
        }
    }

    /// Of the device that a driver calls so; `None` for other models, which other forms of the same chip are, and for slices of one.
    pub fn of_driver_name(name: &str) -> Option<Self> {
        DEVICES.into_iter().find(|device| device.driver_name == name)
    }

    /// Blocks that a multiprocessor holds of a kernel whose registers and threads allow `blocks`, with dynamic shared memory.
    pub fn resident_blocks(&self, blocks: u32, shared_bytes: u32) -> u32 {
        blocks.min(self.shared_bytes / (shared_bytes + RESERVED_SHARED_BYTES))
    }
}
