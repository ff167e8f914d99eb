//! Lanes that run together: uploads, launches, what comes back.

use super::layout::{LaneLayout, LaneShape, Sizes};
use super::memory::Memory;
use super::places::Growing;
use super::program::Program;
use super::tasks::Tasks;
use crate::backend::normalization::Normalization;
use crate::backend::{BatchStatistics, LanePlan, MiniBatch, TrainLane};
use crate::device::{Device, DeviceError};
use crate::network::{Bank, Network};
use crate::ops::cuda::Storage;
use crate::plan::Gates;
use bytemuck::Pod;

/// One lane of a wave.
pub struct Lane<'a> {
    pub network: &'a Network,
    pub plan: &'a LanePlan,
    pub batch: MiniBatch<'a, f32>,
    pub bank: &'a Bank<f32>,
    pub gates: Option<&'a Gates>,
    pub training: bool,
    pub weight_gradients: bool,
    /// By value; none where the batch itself is measured. Empty: nowhere.
    pub given: Vec<Option<BatchStatistics>>,
}

impl<'a> Lane<'a> {
    pub fn of_training(lane: &TrainLane<'a, f32>) -> Self {
        let TrainLane { network, plan, batch, bank, gates, weight_gradients } = *lane;
        Self { network, plan, batch, bank, gates, training: true, weight_gradients, given: Vec::new() }
    }

    pub fn images(&self) -> usize {
        self.batch.labels.len()
    }

    pub fn shape(&self) -> LaneShape<'_> {
        LaneShape {
            plan: self.plan,
            images: self.images(),
            training: self.training,
            weight_gradients: self.weight_gradients,
            gated: self.training && self.gates.is_some(),
            given: &self.given,
        }
    }
}

/// Lanes that have run.
pub struct Wave<'a> {
    pub lanes: Vec<Lane<'a>>,
    pub layouts: Vec<LaneLayout>,
    /// The buffer `results`.
    pub results: Vec<u8>,
}

impl<'a> Wave<'a> {
    /// Forward of all lanes, and backward of those that train.
    ///
    /// # Errors
    /// Not enough device memory, or a launch that fails.
    pub fn run(memory: &mut Memory, storage: Storage, lanes: Vec<Lane<'a>>) -> Result<Self, DeviceError> {
        let mut sizes = Sizes::default();
        let layouts: Vec<LaneLayout> =
            lanes.iter().map(|lane| LaneLayout::new(&lane.shape(), storage, &mut sizes)).collect();
        memory.reserve(&sizes)?;
        let banks = upload_banks(memory, &lanes)?;
        let batches = upload_batches(memory, &lanes)?;
        upload_constants(memory, &lanes, &layouts, &sizes)?;

        let shared = &*memory;
        let tasks: Vec<Tasks<'_>> = (lanes.iter().zip(&layouts).zip(banks).zip(batches))
            .map(|(((lane, layout), bank), (image, label))| Tasks {
                lane: lane.shape(),
                layout,
                network: lane.network,
                bank_layout: &lane.bank.layout,
                memory: shared,
                storage,
                image,
                label,
                bank,
            })
            .collect();
        let mut program = Program::default();
        for tasks in &tasks {
            program.add(tasks);
        }
        drop(tasks);
        program.run(memory)?;
        let mut results = vec![0; sizes.results.bytes()];
        memory.results.buffer().read(0, &mut results)?;
        Ok(Self { lanes, layouts, results })
    }
}

/// Uploads every bank once. Returns where each lane's begins.
fn upload_banks(memory: &mut Memory, lanes: &[Lane<'_>]) -> Result<Vec<usize>, DeviceError> {
    let (places, banks) = distinct(lanes.iter().map(|lane| &*lane.bank.values));
    let starts = write_all(&mut memory.banks, &memory.device, &banks)?;
    Ok(places.into_iter().map(|place| starts[place]).collect())
}

/// Uploads every mini-batch once. Returns where each lane's images and labels begin.
fn upload_batches(memory: &mut Memory, lanes: &[Lane<'_>]) -> Result<Vec<(usize, usize)>, DeviceError> {
    let (of_images, images) = distinct(lanes.iter().map(|lane| lane.batch.images));
    let (of_labels, labels) = distinct(lanes.iter().map(|lane| lane.batch.labels));
    let image_starts = write_all(&mut memory.images, &memory.device, &images)?;
    let label_starts = write_all(&mut memory.labels, &memory.device, &labels)?;
    Ok(of_images.into_iter().zip(of_labels).map(|(i, l)| (image_starts[i], label_starts[l])).collect())
}

/// Writes slices one after another. Returns where each begins.
fn write_all<T: Pod>(buffer: &mut Growing<T>, device: &Device, slices: &[&[T]]) -> Result<Vec<usize>, DeviceError> {
    let buffer = buffer.reserve(device, slices.iter().map(|slice| slice.len()).sum())?;
    let mut next = 0;
    let mut starts = Vec::new();
    for slice in slices {
        buffer.write(next, slice)?;
        starts.push(next);
        next += slice.len();
    }
    Ok(starts)
}

/// Which of the distinct slices each is, and these.
fn distinct<'a, T>(slices: impl Iterator<Item = &'a [T]>) -> (Vec<usize>, Vec<&'a [T]>) {
    let mut known: Vec<&[T]> = Vec::new();
    let places = slices
        .map(|slice| {
            known.iter().position(|other| std::ptr::eq(*other, slice)).unwrap_or_else(|| {
                known.push(slice);
                known.len() - 1
            })
        })
        .collect();
    (places, known)
}

/// Given statistics as rows of normalizations, and gates.
fn upload_constants(
    memory: &mut Memory,
    lanes: &[Lane<'_>],
    layouts: &[LaneLayout],
    sizes: &Sizes,
) -> Result<(), DeviceError> {
    let mut constants = vec![0; sizes.constants.bytes()];
    let mut gates = vec![1.0; sizes.gates];
    for (lane, layout) in lanes.iter().zip(layouts) {
        for ((value, places), statistics) in lane.plan.graph.values.iter().zip(&layout.norms).zip(&lane.given) {
            let (Some(norm), Some(places), Some(statistics)) = (value.norm, places, statistics) else { continue };
            let Normalization { mean, rstd, scale, shift } =
                Normalization::new(lane.network, lane.bank, &norm, statistics);
            // The rows of kernels/stage.cuh; those of a backward pass stay zero.
            let rows = [mean, scale, shift, rstd].concat();
            let bytes: &[u8] = bytemuck::cast_slice(&rows);
            constants[places.rows..places.rows + bytes.len()].copy_from_slice(bytes);
        }
        if let Some(values) = lane.gates {
            for (gate, (index, _)) in layout.gates(&lane.plan.graph) {
                gates[index] = values.0[gate.slot][gate.candidate] as f32;
            }
        }
    }
    memory.constants.fill_with(&memory.device, &constants)?;
    memory.gates.fill_with(&memory.device, &gates)
}
