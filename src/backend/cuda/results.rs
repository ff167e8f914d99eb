//! From bytes that a wave leaves to results.

use super::layout::{HeadPlaces, LaneLayout};
use super::wave::{Lane, Wave};
use crate::backend::BatchStatistics;
use crate::backend::executor::{Evaluation, HeadResult, TrainResult};
use crate::tensor::padded_channels;
use bytemuck::AnyBitPattern;

impl Wave<'_> {
    /// Of every lane, in order.
    pub fn training(&self) -> Vec<TrainResult<f32>> {
        (self.lanes.iter().zip(&self.layouts))
            .map(|(lane, layout)| {
                let head = self.head(lane, &layout.heads[0]);
                let mut gates: Vec<Vec<f64>> = lane
                    .gates
                    .map_or_else(Vec::new, |gates| gates.0.iter().map(|edge| vec![0.0; edge.len()]).collect());
                for (gate, (index, _)) in layout.gates(&lane.plan.graph) {
                    let place = layout.gate_results + (index - layout.first_gate) * size_of::<f64>();
                    gates[gate.slot][gate.candidate] += self.read::<f64>(place, 1)[0];
                }
                let row = if lane.weight_gradients { self.read(layout.row, lane.plan.row_len) } else { Vec::new() };
                TrainResult {
                    loss: head.loss_sum / lane.images() as f64,
                    correct: head.correct,
                    row,
                    statistics: self.statistics(lane, layout),
                    gates,
                }
            })
            .collect()
    }

    /// Of the only lane.
    pub fn evaluation(&self) -> Evaluation {
        let (lane, layout) = (&self.lanes[0], &self.layouts[0]);
        let heads = layout.heads.iter().map(|places| self.head(lane, places)).collect();
        let measured = self.statistics(lane, layout);
        let statistics = match lane.given.is_empty() {
            true => measured,
            false => {
                measured.into_iter().zip(&lane.given).map(|(measured, given)| given.clone().or(measured)).collect()
            }
        };
        Evaluation { heads, statistics }
    }

    fn read<T: AnyBitPattern>(&self, place: usize, len: usize) -> Vec<T> {
        let bytes = &self.results[place..place + len * size_of::<T>()];
        bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
    }

    fn head(&self, lane: &Lane<'_>, places: &HeadPlaces) -> HeadResult {
        let losses: Vec<f32> = self.read(places.losses, lane.images());
        let predictions: Vec<u32> = self.read(places.predictions, lane.images());
        let predictions = predictions.into_iter().map(|class| class as u8).collect();
        HeadResult::new(losses.into_iter().map(f64::from), predictions, lane.batch.labels)
    }

    /// Statistics of every value that the batch normalized, over its logical channels.
    fn statistics(&self, lane: &Lane<'_>, layout: &LaneLayout) -> Vec<Option<BatchStatistics>> {
        (lane.plan.graph.values.iter().zip(&layout.norms))
            .map(|(value, places)| {
                let channels = value.shape.channels;
                let stored = padded_channels(channels);
                let both: Vec<f64> = self.read(places.as_ref()?.statistics, 2 * stored);
                Some(BatchStatistics {
                    count: (lane.images() * value.shape.pixels()) as f64,
                    mean: both[..channels].to_vec(),
                    variance: both[stored..stored + channels].to_vec(),
                })
            })
            .collect()
    }
}
