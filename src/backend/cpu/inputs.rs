//! The input of a stage, chunk by chunk.

use super::norm::NormState;
use crate::ops::input::Segment;
use crate::plan::{Graph, ValueId};
use crate::tensor::{IMAGE_CHANNEL_MULTIPLE, padded_channels};
use std::ops::Range;

/// One source of a stage: where its chunks lie, and how they are normalized.
pub struct Source<'a> {
    values: &'a [f32],
    channels: usize,
    image_len: usize,
    norm: Option<&'a NormState>,
}

impl<'a> Source<'a> {
    /// `values`: all images of the value.
    pub fn new(graph: &Graph, value: ValueId, values: &'a [f32], norms: &'a [Option<NormState>]) -> Self {
        let shape = graph.values[value].shape;
        let channels = stored_channels(graph, value);
        Self { values, channels, image_len: shape.pixels() * channels, norm: norms[value].as_ref() }
    }

    pub fn norm(&self) -> Option<&'a NormState> {
        self.norm
    }

    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The source as a kernel reads it, for some images.
    pub fn segment(&self, images: &Range<usize>) -> Segment<'a> {
        Segment {
            values: &self.values[images.start * self.image_len..images.end * self.image_len],
            channels: self.channels,
            normalize: self.norm.map(NormState::read),
        }
    }
}

/// Channels of a value as it is stored.
pub fn stored_channels(graph: &Graph, value: ValueId) -> usize {
    let channels = graph.values[value].shape.channels;
    match value {
        Graph::IMAGE => channels.next_multiple_of(IMAGE_CHANNEL_MULTIPLE),
        _ => padded_channels(channels),
    }
}

/// Images of every chunk.
pub fn chunks(images: usize, chunk: usize) -> impl ExactSizeIterator<Item = Range<usize>> {
    (0..images.div_ceil(chunk)).map(move |index| index * chunk..((index + 1) * chunk).min(images))
}
