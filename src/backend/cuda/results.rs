//! From bytes that waves leave to results.

use super::layout::{HeadPlaces, LaneLayout};
use super::memory::Memory;
use super::wave::{WaveLane, Waves};
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
    head: HeadPlaces,
    labels: Vec<u8>,
}

impl PendingLosses {
    /// # Errors
    /// An error of the driver.
    pub fn new(memory: &Memory, waves: &Waves<'_>) -> Result<Self, DeviceError> {
        let lane = |(lane, layout): (&WaveLane<'_>, &LaneLayout)| {
            (lane.number, LossPlaces { head: layout.heads[0], labels: lane.batch.labels.clone() })
        };
        let bytes = memory.results.buffer().fetch(0, waves.sizes.results.bytes())?;
        Ok(Self { bytes, lanes: waves.lanes().map(lane).collect() })
    }

    /// Replica by replica, in the order of the lanes.
    ///
    /// # Errors
    /// A launch that failed, or an error of the driver.
    pub fn wait(self) -> Result<Vec<Vec<LaneLoss>>, DeviceError> {
        let bytes = self.bytes.wait()?;
        let replicas = self.lanes.chunk_by(|a, b| a.0 == b.0);
        let loss = |(_, LossPlaces { head, labels }): &(usize, LossPlaces)| head.result(&bytes, labels).lane_loss();
        Ok(replicas.map(|lanes| lanes.iter().map(loss).collect()).collect())
    }
}

impl HeadPlaces {
    /// What the head left in `results`.
    fn result(&self, results: &[u8], labels: &[u8]) -> HeadResult {
        let losses: Vec<f32> = read(results, self.losses, labels.len());
        let predictions: Vec<u32> = read(results, self.predictions, labels.len());
        let predictions = predictions.into_iter().map(|class| class as u8).collect();
        HeadResult::new(losses.into_iter().map(f64::from), predictions, labels)
    }
}

/// Numbers at a place of `results`.
fn read<T: AnyBitPattern>(results: &[u8], place: usize, len: usize) -> Vec<T> {
    let bytes = &results[place..place + len * size_of::<T>()];
    bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
}

/// What came back from waves.
pub struct Results<'a> {
    waves: &'a Waves<'a>,
    bytes: Vec<u8>,
}

impl<'a> Results<'a> {
    /// Waits for the device.
    ///
    /// # Errors
    /// A launch that failed.
    pub fn download(memory: &Memory, waves: &'a Waves<'a>) -> Result<Self, DeviceError> {
        let mut bytes = vec![0; waves.sizes.results.bytes()];
        memory.results.buffer().read(0, &mut bytes)?;
        Ok(Self { waves, bytes })
    }

    /// Of every training lane, in order.
    pub fn losses(&self) -> impl Iterator<Item = LaneLoss> {
        self.waves.lanes().map(|(lane, layout)| layout.heads[0].result(&self.bytes, &lane.batch.labels).lane_loss())
    }

    /// Of every lane that trains a mixture, in order: gradients of its gates.
    pub fn gates(&self) -> impl Iterator<Item = Vec<Vec<f64>>> {
        self.waves.lanes().map(|(lane, layout)| self.gates_of(lane, layout))
    }

    /// Of the only lane, which trains, with its row.
    ///
    /// # Errors
    /// An error of the driver.
    pub fn training(&self, memory: &Memory) -> Result<TrainResult<f32>, DeviceError> {
        let wave = &self.waves.waves[0];
        let (lane, layout) = (&wave.lanes[0], &wave.layouts[0]);
        let LaneLoss { loss, correct } = layout.heads[0].result(&self.bytes, &lane.batch.labels).lane_loss();
        let mut row = vec![0.0_f32; if lane.weight_gradients { lane.plan.row_len } else { 0 }];
        memory.rows.buffer().read(layout.row, bytemuck::cast_slice_mut(&mut row))?;
        let (statistics, gates) = (self.statistics(lane, layout), self.gates_of(lane, layout));
        Ok(TrainResult { loss, correct, row, statistics, gates })
    }

    /// Of the only lane.
    pub fn evaluation(&self) -> Evaluation {
        let wave = &self.waves.waves[0];
        let (lane, layout) = (&wave.lanes[0], &wave.layouts[0]);
        let heads = layout.heads.iter().map(|places| places.result(&self.bytes, &lane.batch.labels)).collect();
        let measured = self.statistics(lane, layout);
        let statistics = match lane.given.is_empty() {
            true => measured,
            false => {
                measured.into_iter().zip(&lane.given).map(|(measured, given)| given.clone().or(measured)).collect()
            }
        };
        Evaluation { heads, statistics }
    }

    fn gates_of(&self, lane: &WaveLane<'_>, layout: &LaneLayout) -> Vec<Vec<f64>> {
        let Some(gates) = lane.gates else { return Vec::new() };
        let mut gradients: Vec<Vec<f64>> = gates.0.iter().map(|edge| vec![0.0; edge.len()]).collect();
        for (gate, (index, _)) in layout.gates(&lane.plan.graph) {
            let place = layout.gate_results + (index - layout.first_gate) * size_of::<f64>();
            gradients[gate.slot][gate.candidate] += read::<f64>(&self.bytes, place, 1)[0];
        }
        gradients
    }

    /// Statistics of every value that the batch normalized, over its logical channels.
    fn statistics(&self, lane: &WaveLane<'_>, layout: &LaneLayout) -> Vec<Option<BatchStatistics>> {
        (lane.plan.graph.values.iter().zip(&layout.norms))
            .map(|(value, places)| {
                let channels = value.shape.channels;
                let stored = padded_channels(channels);
                let both: Vec<f64> = read(&self.bytes, places.as_ref()?.statistics, 2 * stored);
                Some(BatchStatistics {
                    count: (lane.images() * value.shape.pixels()) as f64,
                    mean: both[..channels].to_vec(),
                    variance: both[stored..stored + channels].to_vec(),
                })
            })
            .collect()
    }
}
