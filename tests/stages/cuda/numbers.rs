//! Buffers of tests: feature maps as the device stores them, and short ways in and out.

use bytemuck::Pod;
use crosstalk::device::{Buffer, Device, Pointer};
use crosstalk::ops::cuda::Storage;
use half::bf16;

/// A feature map in a device's memory.
pub enum Numbers {
    F32(Buffer<f32>),
    Bf16(Buffer<u16>),
}

impl Numbers {
    /// To the nearest number of the storage.
    pub fn upload(device: &Device, storage: Storage, name: &str, values: &[f32]) -> Self {
        match storage {
            Storage::F32 => Self::F32(upload(device, name, values)),
            Storage::Bf16 => {
                let bits: Vec<u16> = values.iter().map(|value| bf16::from_f32(*value).to_bits()).collect();
                Self::Bf16(upload(device, name, &bits))
            }
        }
    }

    /// Unwritten.
    pub fn allocate(device: &Device, storage: Storage, name: &str, len: usize) -> Self {
        match storage {
            Storage::F32 => Self::F32(allocate(device, name, len)),
            Storage::Bf16 => Self::Bf16(allocate(device, name, len)),
        }
    }

    pub fn download(&self) -> Vec<f32> {
        match self {
            Self::F32(buffer) => download(buffer),
            Self::Bf16(buffer) => download(buffer).into_iter().map(|bits| bf16::from_bits(bits).to_f32()).collect(),
        }
    }

    pub fn pointer(&self) -> Pointer {
        match self {
            Self::F32(buffer) => Pointer::to(buffer, 0),
            Self::Bf16(buffer) => Pointer::to(buffer, 0),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::F32(buffer) => buffer.len(),
            Self::Bf16(buffer) => buffer.len(),
        }
    }
}

pub fn allocate<T: Pod>(device: &Device, name: &str, len: usize) -> Buffer<T> {
    device.allocate(name, len).expect("memory")
}

pub fn upload<T: Pod>(device: &Device, name: &str, values: &[T]) -> Buffer<T> {
    device.upload(name, values).expect("memory")
}

pub fn download<T: Pod>(buffer: &Buffer<T>) -> Vec<T> {
    buffer.download().expect("values")
}

/// The address of one of two buffers that may be absent.
pub fn pointer_of_pair(pair: Option<&[Buffer<f32>; 2]>, index: usize) -> Pointer {
    pair.map_or(Pointer::NULL, |pair| Pointer::to(&pair[index], 0))
}
