//! Where the values of a parameter lie: PyTorch's order (logical) and the kernels' order (physical).

use crate::ops::WeightShape;
use crate::tensor::{IMAGE_CHANNEL_MULTIPLE, padded_channels};
use std::ops::Range;

/// The channel counts of concatenated feature maps; each segment is padded on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    channels: Vec<usize>,
    multiple: usize,
}

impl Segments {
    /// Stored feature maps.
    pub fn features(channels: Vec<usize>) -> Self {
        Self { channels, multiple: crate::tensor::CHANNEL_MULTIPLE }
    }

    /// The network's input.
    pub fn image(channels: usize) -> Self {
        Self { channels: vec![channels], multiple: IMAGE_CHANNEL_MULTIPLE }
    }

    pub fn logical(&self) -> usize {
        self.channels.iter().sum()
    }

    pub fn physical(&self) -> usize {
        self.channels.iter().map(|c| c.next_multiple_of(self.multiple)).sum()
    }

    /// Physical index of every logical channel.
    pub fn positions(&self) -> Vec<usize> {
        let mut start = 0;
        let mut positions = Vec::with_capacity(self.logical());
        for &count in &self.channels {
            positions.extend(start..start + count);
            start += count.next_multiple_of(self.multiple);
        }
        positions
    }
}

/// Shape in PyTorch and order in the bank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[outputs, inputs, kernel, kernel]` in PyTorch, `[ky][kx][input][output]` in the bank.
    Convolution { outputs: usize, inputs: Segments, kernel: usize },
    /// `[outputs, inputs, 1, 1]` in PyTorch; `[input][output]` in the bank, with all `channels` that `outputs` are some of: the others are padding.
    Columns { outputs: Range<usize>, channels: usize, inputs: Segments },
    /// `[channels, 1, kernel, kernel]` in PyTorch, `[ky][kx][channel]` in the bank.
    Depthwise { channels: Segments, kernel: usize },
    /// `[outputs, inputs]` in PyTorch, `[output][input]` in the bank.
    Linear { outputs: usize, inputs: Segments },
    /// `[channels]`, channels padded in the bank.
    Channels(Segments),
    /// `[len]`, not padded (biases of the classifier).
    Plain(usize),
}

impl Layout {
    /// Of an operation's weight, where the operation reads `inputs`.
    pub fn of_weight(shape: &WeightShape, inputs: Segments) -> Self {
        match shape {
            WeightShape::Dense { outputs, kernel } => Self::Convolution { outputs: *outputs, inputs, kernel: *kernel },
            WeightShape::Columns { outputs, channels } => {
                Self::Columns { outputs: outputs.clone(), channels: *channels, inputs }
            }
            WeightShape::Depthwise { kernel } => Self::Depthwise { channels: inputs, kernel: *kernel },
        }
    }

    /// Inputs of each output of a weight.
    pub fn fan_in(&self) -> usize {
        self.shape().iter().skip(1).product()
    }

    /// Shape in PyTorch.
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Self::Convolution { outputs, inputs, kernel } => vec![*outputs, inputs.logical(), *kernel, *kernel],
            Self::Columns { outputs, inputs, .. } => vec![outputs.len(), inputs.logical(), 1, 1],
            Self::Depthwise { channels, kernel } => vec![channels.logical(), 1, *kernel, *kernel],
            Self::Linear { outputs, inputs } => vec![*outputs, inputs.logical()],
            Self::Channels(channels) => vec![channels.logical()],
            Self::Plain(len) => vec![*len],
        }
    }

    /// Values without padding.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Values in the bank, padding included.
    pub fn bank_len(&self) -> usize {
        match self {
            Self::Convolution { outputs, inputs, kernel } => {
                kernel * kernel * inputs.physical() * padded_channels(*outputs)
            }
            Self::Columns { channels, inputs, .. } => inputs.physical() * padded_channels(*channels),
            Self::Depthwise { channels, kernel } => kernel * kernel * channels.physical(),
            Self::Linear { outputs, inputs } => outputs * inputs.physical(),
            Self::Channels(channels) => channels.physical(),
            Self::Plain(len) => *len,
        }
    }

    /// Bank index of every value, in PyTorch's order.
    pub fn bank_positions(&self) -> Vec<usize> {
        match self {
            Self::Convolution { outputs, inputs, kernel } => {
                let (columns, rows) = (padded_channels(*outputs), inputs.physical());
                let inputs = inputs.positions();
                let mut positions = Vec::with_capacity(self.len());
                for output in 0..*outputs {
                    for input in &inputs {
                        for tap in 0..kernel * kernel {
                            positions.push((tap * rows + input) * columns + output);
                        }
                    }
                }
                positions
            }
            Self::Columns { outputs, channels, inputs } => {
                let (columns, inputs) = (padded_channels(*channels), inputs.positions());
                outputs.clone().flat_map(|output| inputs.iter().map(move |input| input * columns + output)).collect()
            }
            Self::Depthwise { channels, kernel } => {
                let columns = channels.physical();
                let taps = kernel * kernel;
                channels.positions().iter().flat_map(|c| (0..taps).map(move |tap| tap * columns + c)).collect()
            }
            Self::Linear { outputs, inputs } => {
                let columns = inputs.physical();
                let inputs = inputs.positions();
                (0..*outputs).flat_map(|o| inputs.iter().map(move |i| o * columns + i)).collect()
            }
            Self::Channels(channels) => channels.positions(),
            Self::Plain(len) => (0..*len).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_own_place_and_the_rest_is_padding() {
        let layouts = [
            Layout::Convolution { outputs: 12, inputs: Segments::features(vec![12, 5]), kernel: 3 },
            Layout::Columns { outputs: 6..12, channels: 12, inputs: Segments::features(vec![12, 5]) },
            Layout::Depthwise { channels: Segments::features(vec![12]), kernel: 5 },
            Layout::Linear { outputs: 10, inputs: Segments::features(vec![12, 12]) },
            Layout::Channels(Segments::image(3)),
            Layout::Plain(10),
        ];
        for layout in layouts {
            let mut positions = layout.bank_positions();
            assert_eq!(positions.len(), layout.len(), "{layout:?}");
            positions.sort_unstable();
            positions.dedup();
            assert_eq!(positions.len(), layout.len(), "{layout:?}");
            assert!(positions.iter().all(|p| *p < layout.bank_len()), "{layout:?}");
        }
    }

    #[test]
    fn a_concatenation_pads_each_segment() {
        let segments = Segments::features(vec![12, 5]);
        assert_eq!(segments.physical(), 24);
        assert_eq!(segments.positions()[12], 16);
    }
}
