//! The cost model of a stage: FLOPs, and the bytes that it moves at least.

use super::Operation;

/// Work of one image. A multiply-add counts as two FLOPs. Bytes: every stage's inputs read once and outputs written once; weights, which all images share, do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    pub flops: u64,
    pub bytes: u64,
}

impl std::ops::Add for Cost {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { flops: self.flops + other.flops, bytes: self.bytes + other.bytes }
    }
}

/// Of so many images.
impl std::ops::Mul<u64> for Cost {
    type Output = Self;
    fn mul(self, images: u64) -> Self {
        Self { flops: self.flops * images, bytes: self.bytes * images }
    }
}

impl std::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), |a, b| a + b)
    }
}

/// What a stage computes.
#[derive(Clone, Copy, Debug)]
pub enum Work {
    Linear(Operation),
    /// A sum of terms, some of them times a gate.
    Node {
        terms: u64,
        gated: u64,
    },
    /// Average pool and classifier; the classifier's few products do not count.
    Head,
}

/// A stage with the stored numbers, padding included, that one image has of its inputs and of its output.
#[derive(Clone, Copy, Debug)]
pub struct StageCost {
    pub work: Work,
    pub read: u64,
    pub written: u64,
    /// Whether the gradients of its inputs are wanted: of the network's input they are not.
    pub input_gradients: bool,
    /// Whether those of its weights are.
    pub weight_gradients: bool,
}

impl StageCost {
    /// At `element_bytes` a stored number.
    pub fn forward(&self, element_bytes: u64) -> Cost {
        Cost { flops: self.forward_flops(), bytes: (self.read + self.written) * element_bytes }
    }

    /// Inputs, output and output gradient are read, input gradients written; input and weight gradients cost a forward pass each.
    pub fn backward(&self, element_bytes: u64) -> Cost {
        let products = match self.work {
            Work::Node { .. } => 1,
            Work::Linear(operation) if operation.linear().weights().is_empty() => u64::from(self.input_gradients),
            _ => u64::from(self.input_gradients) + u64::from(self.weight_gradients),
        };
        if products == 0 {
            return Cost::default();
        }
        let gradients = if self.input_gradients { self.read } else { 0 };
        let bytes = (self.read + 2 * self.written + gradients) * element_bytes;
        Cost { flops: self.forward_flops() * products, bytes }
    }

    fn forward_flops(&self) -> u64 {
        match &self.work {
            Work::Linear(operation) => operation.linear().flops(),
            Work::Node { terms, gated } => self.written * (terms + gated),
            Work::Head => self.read,
        }
    }
}
