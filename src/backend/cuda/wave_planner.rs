//! How many lanes run together: enough to fill the multiprocessors, as many as the L2 cache holds, never more than fit the memory. No result
//! depends on it.

use super::layout::LaneShape;
use crate::device::Device;
use crate::device::facts::DeviceFacts;
use crate::ops::cuda::{StageKernels, Storage};
use std::ops::Add;

/// Blocks of a launch for each multiprocessor, which holds two to eight at a time: so many rounds that the start of the launch and its last
/// round, which does not fill the device, are a small part. A block moves 13 kB and more, so this many take some 70 us of an H100's memory.
/// An assumption, not measured.
const BLOCKS_PER_MULTIPROCESSOR: u64 = 128;

/// Of L2 for maps and gradients, of the memory for everything: the rest is for tables, weights and other programs.
const SHARE_OF_L2: f64 = 0.75;
const SHARE_OF_MEMORY: f64 = 0.8;

/// Beyond it tables only become longer.
const MOST_LANES: usize = 256;

#[derive(Clone, Copy, Debug)]
pub struct WavePlanner {
    blocks: u64,
    l2_bytes: u64,
    memory_bytes: u64,
    most: usize,
}

/// What lanes put on a device.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    pub lanes: usize,
    /// Of the forward launch of a stage in the middle of all by this number.
    pub blocks: u64,
    /// Feature maps and gradients.
    pub map_bytes: u64,
    /// With what kernels leave for each other.
    pub bytes: u64,
}

impl Add for Load {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            lanes: self.lanes + other.lanes,
            blocks: self.blocks + other.blocks,
            map_bytes: self.map_bytes + other.map_bytes,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl Load {
    /// Of one lane that takes so many bytes.
    pub fn of_lane(lane: &LaneShape<'_>, kernels: &[StageKernels], storage: Storage, bytes: usize) -> Self {
        let mut blocks: Vec<u64> = kernels
            .iter()
            .map(|kernels| u64::from(kernels.forward.launch.parts) * u64::from(kernels.forward.launch.columns))
            .collect();
        blocks.sort_unstable();
        let numbers = lane.plan.levels().schedule.elements_per_image * lane.images;
        Self {
            lanes: 1,
            blocks: blocks.get(blocks.len() / 2).copied().unwrap_or(0),
            map_bytes: numbers as u64 * u64::from(storage.bytes()),
            bytes: bytes as u64,
        }
    }
}

impl WavePlanner {
    fn new(multiprocessors: u32, l2_bytes: u64, memory_bytes: u64) -> Self {
        Self {
            blocks: u64::from(multiprocessors) * BLOCKS_PER_MULTIPROCESSOR,
            l2_bytes: (l2_bytes as f64 * SHARE_OF_L2) as u64,
            memory_bytes: (memory_bytes as f64 * SHARE_OF_MEMORY) as u64,
            most: MOST_LANES,
        }
    }

    /// By what other programs leave of its memory now.
    pub fn of_device(device: &Device) -> Self {
        let properties = device.properties();
        let memory = device.memory().map_or(properties.memory_bytes, |memory| memory.available() as u64);
        Self::new(properties.multiprocessors, properties.l2_bytes, memory)
    }

    pub fn of_facts(facts: &DeviceFacts) -> Self {
        Self::new(facts.multiprocessors, facts.l2_bytes, facts.memory_bytes)
    }

    /// Always so many lanes, at least one.
    pub fn fixed(lanes: usize) -> Self {
        Self { blocks: u64::MAX, l2_bytes: 0, memory_bytes: u64::MAX, most: lanes.max(1) }
    }

    /// Whether a wave with such a load takes one more lane.
    pub fn admits(&self, wave: Load, lane: Load) -> bool {
        let with = wave + lane;
        let useful = wave.blocks < self.blocks || with.map_bytes <= self.l2_bytes;
        wave.lanes == 0 || (useful && with.lanes <= self.most && with.bytes <= self.memory_bytes)
    }

    /// Of so many equal lanes, how many run together.
    pub fn together(&self, lane: Load, lanes: usize) -> usize {
        let mut wave = Load::default();
        while wave.lanes < lanes && self.admits(wave, lane) {
            wave = wave + lane;
        }
        wave.lanes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten multiprocessors, 1280 blocks; 75 bytes of L2; 800 of memory.
    fn planner() -> WavePlanner {
        WavePlanner::new(10, 100, 1000)
    }

    fn load(blocks: u64, map_bytes: u64, bytes: u64) -> Load {
        Load { lanes: 1, blocks, map_bytes, bytes }
    }

    #[test]
    fn a_wave_fills_the_multiprocessors_and_then_the_cache() {
        assert_eq!(planner().together(load(400, 60, 1), 99), 4);
        assert_eq!(planner().together(load(1280, 60, 1), 99), 1);
        assert_eq!(planner().together(load(1280, 25, 1), 99), 3);
        assert_eq!(planner().together(load(100, 60, 1), 2), 2);
    }

    #[test]
    fn a_wave_fits_the_memory_but_one_lane_always_runs() {
        assert_eq!(planner().together(load(1, 60, 300), 99), 2);
        assert_eq!(planner().together(load(1, 60, 3000), 99), 1);
        assert_eq!(planner().together(load(0, 0, 0), 1000), MOST_LANES);
        assert_eq!(WavePlanner::fixed(3).together(load(1000, 1000, 1000), 99), 3);
    }
}
