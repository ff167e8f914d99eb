//! A replica in device memory.

use crate::backend::LanePlan;
use crate::device::{Buffer, Device, DeviceError};
use crate::network::{Bank, Model, State};
use std::sync::OnceLock;

/// Banks that stay on the device, and what the host remembers of each copy of a parameter.
pub struct DeviceReplica {
    pub weights: Buffer<f32>,
    pub momenta: Buffer<f32>,
    /// Of the last step.
    pub gradients: Buffer<f32>,
    /// Where the channels of every tracked normalization lie ([`Model::running_positions`], one after another).
    pub positions: Buffer<u32>,
    pub started: Vec<bool>,
    pub batches_tracked: Vec<u64>,
    /// The weights, downloaded when they are first asked for after a step.
    host_weights: OnceLock<Bank<f32>>,
}

impl DeviceReplica {
    /// # Errors
    /// Not enough device memory, or an error of the driver.
    pub fn new(device: &Device, model: &Model, state: State<f32>) -> Result<Self, DeviceError> {
        let positions: Vec<u32> = model.running_positions.iter().flatten().map(|position| *position as u32).collect();
        Ok(Self {
            weights: device.upload("weights", &state.weights.values)?,
            momenta: device.upload("momenta", &state.momentum.values)?,
            gradients: device.zeros("gradients", state.weights.values.len())?,
            positions: device.upload("channels of running statistics", &positions)?,
            started: state.started,
            batches_tracked: state.batches_tracked,
            host_weights: OnceLock::new(),
        })
    }

    /// # Errors
    /// A launch before that failed, or an error of the driver.
    pub fn state(&self, model: &Model) -> Result<State<f32>, DeviceError> {
        let mut state = State::zeroed(model);
        self.weights.read(0, &mut state.weights.values)?;
        self.momenta.read(0, &mut state.momentum.values)?;
        state.started.clone_from(&self.started);
        state.batches_tracked.clone_from(&self.batches_tracked);
        Ok(state)
    }

    /// Weights and buffers as they are now.
    ///
    /// # Errors
    /// A launch before that failed, or an error of the driver.
    pub fn host_weights(&self, model: &Model) -> Result<&Bank<f32>, DeviceError> {
        if let Some(bank) = self.host_weights.get() {
            return Ok(bank);
        }
        let mut bank = Bank::zeroed(model.layout.clone());
        self.weights.read(0, &mut bank.values)?;
        Ok(self.host_weights.get_or_init(|| bank))
    }

    /// After a step in which a lane had gradients.
    pub fn note_gradients(&mut self, model: &Model, plan: &LanePlan) {
        self.host_weights = OnceLock::new();
        for parameter in &plan.parameters {
            self.started[model.layout.number(*parameter)] = true;
        }
    }

    /// After a lane has moved running statistics.
    pub fn note_running_statistics(&mut self, model: &Model, plan: &LanePlan) {
        self.host_weights = OnceLock::new();
        let norms = plan.graph.values.iter().filter_map(|value| value.norm);
        for [mean, _] in norms.filter_map(|norm| norm.running) {
            self.batches_tracked[model.layout.number(mean)] += 1;
        }
    }
}

/// Where the channels of a normalization begin in [`DeviceReplica::positions`].
pub fn first_position(model: &Model, norm: usize) -> usize {
    model.running_positions[..norm].iter().map(Vec::len).sum()
}
