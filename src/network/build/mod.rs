//! From a space and a size to layers with shapes and a parameter table.

mod cell;
mod error;
mod fixed;
mod layer;

pub use error::NetworkError;

use super::{Network, Norm, Parameter, Place, Segments};
use crate::space::{BlockKind, Normalization, Space};
use crate::tensor::Shape;

/// The numbers that a space leaves open.
#[derive(Clone, Copy, Debug)]
pub struct NetworkSize {
    pub input: Shape,
    /// C: channels of the first cell.
    pub channels: usize,
    /// Cells, in the sense of the space's arrangement.
    pub cells: usize,
    pub classes: usize,
}

/// A (possibly concatenated) feature map on its way through the network.
#[derive(Clone, Debug, PartialEq)]
struct Feature {
    height: usize,
    width: usize,
    segments: Segments,
}

impl Feature {
    fn shape(&self) -> Shape {
        Shape::new(self.height, self.width, self.segments.logical())
    }
}

/// Where a layer stands: everything that its specification does not say.
struct Site<'a> {
    prefix: String,
    names: Vec<(&'static str, usize)>,
    place: Place,
    /// The place's C.
    channels: usize,
    edge_stride: usize,
    normalization: Normalization,
    choice: Option<(usize, u8)>,
    label: &'a str,
}

struct Builder<'a> {
    space: &'a Space,
    parameters: Vec<Parameter>,
    norms: Vec<Norm>,
}

impl Network {
    /// Shapes and parameters of `space` at `size`.
    pub fn build(space: &Space, size: NetworkSize) -> Result<Self, NetworkError> {
        // Far above any network that is trained: a slip of the pen shall be told before it takes all memory.
        for (what, least, most, found) in [
            ("channels", 1, 1 << 14, size.channels),
            ("cells", 1, 1 << 10, size.cells),
            ("classes", 2, 1 << 16, size.classes),
            ("image height", 1, 1 << 14, size.input.height),
            ("image width", 1, 1 << 14, size.input.width),
            ("image channels", 1, 1 << 10, size.input.channels),
        ] {
            if !(least..=most).contains(&found) {
                return Err(NetworkError::Size { what, least, most, found });
            }
        }
        let mut builder = Builder { space, parameters: Vec::new(), norms: Vec::new() };
        let (height, width) = (size.input.height, size.input.width);
        let image = Feature { height, width, segments: Segments::image(size.input.channels) };
        let site = Site {
            prefix: String::new(),
            names: Vec::new(),
            place: Place::Stem,
            channels: size.channels,
            edge_stride: 1,
            normalization: space.normalization.stem,
            choice: None,
            label: "the stem",
        };
        let (stem, feature) = builder.layers(&space.stem.layers, &site, image)?;
        let mut outputs = vec![feature];
        let mut blocks = Vec::new();
        for block in space.blocks(size.cells) {
            let channels = size.channels * block.channel_multiple;
            let (block, output) = match block.kind {
                BlockKind::Searched(cell) => builder.searched(cell, &block, channels, &outputs)?,
                BlockKind::Residual(residual) => builder.residual(residual, &block, channels, &outputs)?,
            };
            blocks.push(block);
            outputs.push(output);
        }
        let last = outputs.pop().unwrap_or_else(|| unreachable!("the stem is always there"));
        let head = builder.head(&last, size.classes);
        Ok(Self {
            space: space.clone(),
            input: size.input,
            classes: size.classes,
            parameters: builder.parameters,
            norms: builder.norms,
            stem,
            blocks,
            head,
        })
    }
}

impl Builder<'_> {
    fn missing(&self, what: &'static str, name: &str) -> NetworkError {
        NetworkError::Missing { space: self.space.name.clone(), what, name: name.to_owned() }
    }

    /// The shape of a sum; every term must have the same.
    fn sum(&self, place: &str, terms: &[Feature]) -> Result<Feature, NetworkError> {
        let first = terms.first().ok_or_else(|| self.missing("edge into a node", place))?;
        match terms.iter().find(|term| *term != first) {
            None => Ok(first.clone()),
            Some(other) => Err(NetworkError::Shapes {
                space: self.space.name.clone(),
                place: place.to_owned(),
                first: first.shape().to_string(),
                other: other.shape().to_string(),
            }),
        }
    }
}

/// Output of the block `back` blocks ago; of the stem where there is none.
fn previous(outputs: &[Feature], back: usize) -> &Feature {
    &outputs[outputs.len().saturating_sub(back)]
}
