//! From bytes that waves leave to results.

use super::layout::HeadPlaces;
use super::memory::Memory;
use super::wave::{PlacedProgram, WaveLane, Waves};
use crate::backend::{BatchStatistics, Evaluation, HeadResult, LaneLoss, TrainResult};
use crate::device::{DeviceError, Fetch};
use crate::tensor::padded_channels;
use bytemuck::AnyBitPattern;

/// Losses of a step, on their way from the device.
pub struct PendingLosses {
    bytes: Box<dyn Fetch>,
    /// Of each lane: its replica, and where its losses are.
    lanes: Vec<(usize, LossPlaces)>,
}

struct LossPlaces {
    /// Bytes of the losses of the lanes before.
    before: usize,
    head: HeadPlaces,
    labels: Vec<u8>,
}

impl PendingLosses {
    /// # Errors
    /// An error of the driver.
    pub fn new(memory: &Memory, waves: &Waves<'_>) -> Result<Self, DeviceError> {
        let lane = |(lane, placed): (&WaveLane<'_>, &PlacedProgram)| {
            let (before, head) = (placed.before.losses.bytes(), placed.program.layout.heads[0]);
            (lane.number, LossPlaces { before, head, labels: lane.batch.labels.clone() })
        };
        let bytes = memory.losses.buffer().fetch(0, waves.sizes.losses.bytes())?;
        Ok(Self { bytes, lanes: waves.lanes().map(lane).collect() })
    }

    /// Replica by replica, in the order of the lanes.
    ///
    /// # Errors
    /// A launch that failed, or an error of the driver.
    pub fn wait(self) -> Result<Vec<Vec<LaneLoss>>, DeviceError> {
        let bytes = self.bytes.wait()?;
        let replicas = self.lanes.chunk_by(|a, b| a.0 == b.0);
        let loss = |(_, LossPlaces { before, head, labels }): &(usize, LossPlaces)| {
            head.result(&bytes[*before..], labels).lane_loss()
        };
        Ok(replicas.map(|lanes| lanes.iter().map(loss).collect()).collect())
    }
}

impl HeadPlaces {
    /// What the head left in `losses`, which begin with those of its lane.
    fn result(&self, losses: &[u8], labels: &[u8]) -> HeadResult {
        let predictions: Vec<u32> = read(losses, self.predictions, labels.len());
        let losses: Vec<f32> = read(losses, self.losses, labels.len());
        let predictions = predictions.into_iter().map(|class| class as u8).collect();
        HeadResult::new(losses.into_iter().map(f64::from), predictions, labels)
    }
}

/// Numbers at a place of some bytes.
fn read<T: AnyBitPattern>(bytes: &[u8], place: usize, len: usize) -> Vec<T> {
    let bytes = &bytes[place..place + len * size_of::<T>()];
    bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
}

/// What came back from waves.
pub struct Results<'a> {
    waves: &'a Waves<'a>,
    losses: Vec<u8>,
    results: Vec<u8>,
}

impl<'a> Results<'a> {
    /// Waits for the device.
    ///
    /// # Errors
    /// A launch that failed.
    pub fn download(memory: &Memory, waves: &'a Waves<'a>) -> Result<Self, DeviceError> {
        let [mut losses, mut results] = [waves.sizes.losses, waves.sizes.results].map(|places| vec![0; places.bytes()]);
        memory.losses.buffer().read(0, &mut losses)?;
        memory.results.buffer().read(0, &mut results)?;
        Ok(Self { waves, losses, results })
    }

    /// Of every training lane, in order.
    pub fn losses(&self) -> impl Iterator<Item = LaneLoss> {
        self.waves.lanes().map(|(lane, placed)| self.loss(lane, placed))
    }

    /// Of every lane that trains a mixture, in order: gradients of its gates.
    pub fn gates(&self) -> impl Iterator<Item = Vec<Vec<f64>>> {
        self.waves.lanes().map(|(lane, placed)| self.gates_of(lane, placed))
    }

    /// Of the only lane, which trains, with its row.
    ///
    /// # Errors
    /// An error of the driver.
    pub fn training(&self, memory: &Memory) -> Result<TrainResult<f32>, DeviceError> {
        let wave = &self.waves.waves[0];
        let (lane, placed) = (&wave.lanes[0], &wave.placed[0]);
        let LaneLoss { loss, correct } = self.loss(lane, placed);
        let mut row = vec![0.0_f32; if lane.weight_gradients { lane.plan.row_len } else { 0 }];
        memory.rows.buffer().read(placed.before.rows.bytes(), bytemuck::cast_slice_mut(&mut row))?;
        let (statistics, gates) = (self.statistics(lane, placed), self.gates_of(lane, placed));
        Ok(TrainResult { loss, correct, row, statistics, gates })
    }

    /// Of the only lane.
    pub fn evaluation(&self) -> Evaluation {
        let wave = &self.waves.waves[0];
        let (lane, placed) = (&wave.lanes[0], &wave.placed[0]);
        let heads = placed.program.layout.heads.iter();
        let heads = heads.map(|places| places.result(self.losses_of(placed), &lane.batch.labels)).collect();
        let measured = self.statistics(lane, placed);
        let statistics = match lane.given.is_empty() {
            true => measured,
            false => {
                measured.into_iter().zip(&lane.given).map(|(measured, given)| given.clone().or(measured)).collect()
            }
        };
        Evaluation { heads, statistics }
    }

    /// From those of a lane on.
    fn losses_of(&self, placed: &PlacedProgram) -> &[u8] {
        &self.losses[placed.before.losses.bytes()..]
    }

    fn results_of(&self, placed: &PlacedProgram) -> &[u8] {
        &self.results[placed.before.results.bytes()..]
    }

    fn loss(&self, lane: &WaveLane<'_>, placed: &PlacedProgram) -> LaneLoss {
        placed.program.layout.heads[0].result(self.losses_of(placed), &lane.batch.labels).lane_loss()
    }

    fn gates_of(&self, lane: &WaveLane<'_>, placed: &PlacedProgram) -> Vec<Vec<f64>> {
        let layout = &placed.program.layout;
        let Some(gates) = lane.gates else { return Vec::new() };
        let mut gradients: Vec<Vec<f64>> = gates.0.iter().map(|edge| vec![0.0; edge.len()]).collect();
        for (gate, (index, _)) in layout.gates(&lane.plan.graph) {
            let place = layout.gate_results + index * size_of::<f64>();
            gradients[gate.slot][gate.candidate] += read::<f64>(self.results_of(placed), place, 1)[0];
        }
        gradients
    }

    /// Statistics of every value that the batch normalized, over its logical channels.
    fn statistics(&self, lane: &WaveLane<'_>, placed: &PlacedProgram) -> Vec<Option<BatchStatistics>> {
        (lane.plan.graph.values.iter().zip(&placed.program.layout.norms))
            .map(|(value, places)| {
                let channels = value.shape.channels;
                let stored = padded_channels(channels);
                let both: Vec<f64> = read(self.results_of(placed), places.as_ref()?.statistics, 2 * stored);
                Some(BatchStatistics {
                    count: (lane.images() * value.shape.pixels()) as f64,
                    mean: both[..channels].to_vec(),
                    variance: both[stored..stored + channels].to_vec(),
                })
            })
            .collect()
    }
}
