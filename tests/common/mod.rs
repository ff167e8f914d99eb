//! Small models and mini-batches for the tests.
#![allow(dead_code, reason = "every test file uses its own part")]

pub mod command;
pub mod goldens;
pub mod rounding;

use crosstalk::device::Device;
use crosstalk::network::{Model, Network, NetworkSize, Sharing};
use crosstalk::rng::{Purpose, Stream};
use crosstalk::space::Space;
use crosstalk::tensor::{Real, Shape};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// The first GPU; a test that needs one fails where there is none.
pub fn gpu() -> Device {
    static GPU: OnceLock<Device> = OnceLock::new();
    GPU.get_or_init(|| Device::cuda(0).unwrap_or_else(|error| panic!("{error}"))).clone()
}

/// The folder with the tests' data: the repository, or a copy of what tests read where `scripts/gpu-bundle` put it.
pub fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into()).into()
}

/// A zhang64 supernet of all 64 children.
pub fn zhang64(input: Shape, channels: usize, cells: usize, classes: usize) -> Network {
    let space = Space::built_in("zhang64").expect("a built-in space");
    Network::build(&space, NetworkSize { input, channels, cells, classes }).expect("a valid size")
}

pub fn model(network: Network, sharing: Sharing) -> Arc<Model> {
    let children: Vec<_> = network.space.enumerate().collect();
    Arc::new(Model::new(network, sharing, &children))
}

/// Uniform numbers in -1..1, from a stream of their own.
pub fn noise<T: Real>(seed: u64, len: usize) -> Vec<T> {
    let mut stream = Stream::new(seed, Purpose::Recalibration, 0, 0);
    (0..len).map(|_| T::from_f64(f64::from((2.0 * stream.uniform_f64() - 1.0) as f32))).collect()
}

/// Random pixels, channels padded to 4 with zeros, and labels.
pub fn mini_batch<T: Real>(seed: u64, images: usize, shape: Shape, classes: usize) -> (Vec<T>, Vec<u8>) {
    let stored = shape.channels.next_multiple_of(4);
    let mut pixels: Vec<T> = noise(seed, images * shape.pixels() * stored);
    for pixel in pixels.chunks_mut(stored) {
        pixel[shape.channels..].fill(T::default());
    }
    let mut stream = Stream::new(seed, Purpose::Children, 0, 1);
    (pixels, (0..images).map(|_| stream.bounded(classes as u32) as u8).collect())
}
