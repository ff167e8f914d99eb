//! What a command will take of a GPU's memory, and whether the GPU has it.

use super::TrainError;
use crate::device::DeviceMemory;

/// Bytes by purpose, and the memory in which they must fit.
#[derive(Clone, Copy, Debug)]
pub struct DevicePlan {
    /// Bytes of the data set.
    pub data: usize,
    /// Weights, momenta and gradients of every replica.
    pub banks: usize,
    /// Pixels of the mini-batches that a step reads.
    pub mini_batches: usize,
    /// Feature maps and gradients of a step.
    pub training: usize,
    /// What an evaluation takes beyond that.
    pub evaluation: usize,
    /// Before anything of this was taken, or with what earlier work of this process left.
    pub memory: DeviceMemory,
}

impl DevicePlan {
    pub fn peak(&self) -> usize {
        self.parts().iter().fold(0, |sum, (bytes, ..)| sum.saturating_add(*bytes))
    }

    /// Bytes, what they are for, and what makes them fewer.
    fn parts(&self) -> [(usize, &'static str, &'static str); 5] {
        [
            (self.training, "feature maps and gradients", "lower data.batch, network.channels, step.lanes or replicas"),
            (
                self.evaluation,
                "evaluation",
                "lower evaluation.batch (for `recalibrated` data.batch) or evaluate fewer children",
            ),
            (self.banks, "banks", "lower replicas, network.channels or network.cells"),
            (self.mini_batches, "mini-batches", "lower data.batch, step.lanes or replicas"),
            (self.data, "data", "take a smaller data set"),
        ]
    }

    /// Checks that the peak fits into what is free and what buffers of this process hold already: they are used again.
    pub(super) fn check(&self) -> Result<(), TrainError> {
        let planned = self.peak();
        if planned <= self.memory.available() {
            return Ok(());
        }
        let mebibytes = |bytes: usize| bytes >> 20;
        let parts = self.parts().map(|(bytes, purpose, _)| format!("{} of {purpose}", mebibytes(bytes))).join(", ");
        let remedy = self.parts().iter().max_by_key(|(bytes, ..)| *bytes).map_or("", |(.., remedy)| remedy);
        Err(TrainError::DevicePlan {
            planned: mebibytes(planned),
            parts,
            available: mebibytes(self.memory.available()),
            total: mebibytes(self.memory.total),
            taken: mebibytes(self.memory.taken()),
            remedy,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn plan(memory: DeviceMemory) -> DevicePlan {
        DevicePlan { data: MIB, banks: MIB, mini_batches: 2 * MIB, training: 29 * MIB, evaluation: 7 * MIB, memory }
    }

    #[test]
    fn a_plan_may_take_what_is_free_and_what_the_process_holds_already() {
        let fits =
            |free: usize, own: usize| plan(DeviceMemory { free: free * MIB, total: 100 * MIB, own: own * MIB }).check();
        assert!(fits(40, 0).is_ok() && fits(10, 30).is_ok());
        assert!(fits(39, 0).is_err() && fits(10, 29).is_err());
    }

    #[test]
    fn a_refusal_names_what_is_needed_what_is_free_who_has_the_rest_and_what_to_lower() {
        let error =
            plan(DeviceMemory { free: 20 * MIB, total: 100 * MIB, own: 5 * MIB }).check().expect_err("a refusal");
        let told = "the plan takes 40 MiB of the GPU's memory (29 of feature maps and gradients, 7 of evaluation, 1 of banks, 2 of \
                    mini-batches, 1 of data), but 25 of 100 MiB are available, 75 MiB are held by the driver or other processes; lower data.batch, \
                    network.channels, step.lanes or replicas";
        assert_eq!(error.to_string(), told);
        let endless = DevicePlan { evaluation: usize::MAX, ..plan(DeviceMemory { free: 0, total: MIB, own: 0 }) };
        let error = endless.check().expect_err("a refusal").to_string();
        assert!(error.ends_with("; lower evaluation.batch (for `recalibrated` data.batch) or evaluate fewer children"));
    }
}
