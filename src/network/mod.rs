//! A space with shapes: its layers, parameter table, bank layout, sharing policy, and weights in and out.

mod bank;
mod build;
mod exchange;
mod initial;
mod layout;
mod model;
mod sharing;
mod state;

pub use bank::{Bank, BankLayout};
pub use build::{NetworkError, NetworkSize};
pub use exchange::{
    ExchangeError, MOMENTUM, Tensors, export_gradients, export_momentum, export_parameters, import_parameters, is_alpha,
};
pub use initial::initialize;
pub use layout::{Layout, Segments};
pub use model::Model;
pub use sharing::{Copies, Sharing};
pub use state::State;

use crate::ops::Operation;
use crate::space::{OutputRule, Space};
use crate::tensor::Shape;

/// Index into [`Network::parameters`].
pub type ParameterId = usize;

/// One copy of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParameterRef {
    pub parameter: ParameterId,
    pub copy: u32,
}
/// Index into [`Network::norms`].
pub type NormId = usize;

/// What a parameter is for; decides its initial value and whether the optimizer moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Weight of a convolution or linear layer with this fan-in.
    Weight {
        fan_in: usize,
    },
    /// Bias of a layer with this fan-in.
    Bias {
        fan_in: usize,
    },
    /// Scale of an affine batch normalization.
    Scale,
    /// Shift of an affine batch normalization.
    Shift,
    RunningMean,
    RunningVariance,
}

impl Role {
    /// Buffers are moved by forward passes, not by the optimizer.
    pub fn is_buffer(self) -> bool {
        matches!(self, Self::RunningMean | Self::RunningVariance)
    }
}

/// Where a parameter stands in the macro skeleton.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Stem,
    Cell(usize),
    Head,
}

#[derive(Clone, Debug)]
pub struct Parameter {
    /// Name in the official PyTorch code.
    pub name: String,
    pub role: Role,
    pub place: Place,
    pub layout: Layout,
    /// (slot of the child, candidate) that alone uses it; `None`: every child does.
    pub choice: Option<(usize, u8)>,
}

/// One batch normalization.
#[derive(Clone, Debug)]
pub struct Norm {
    /// Name in the official PyTorch code, without the parameter's.
    pub name: String,
    pub channels: usize,
    pub epsilon: f64,
    pub momentum: f64,
    /// Scale and shift.
    pub affine: Option<[ParameterId; 2]>,
    /// Running mean and variance.
    pub running: Option<[ParameterId; 2]>,
    /// Bias of the convolution before it.
    pub bias: Option<ParameterId>,
}

/// A stage of the network: `[ReLU,] operation [, normalization]`.
#[derive(Clone, Debug)]
pub struct Layer {
    pub name: String,
    pub relu: bool,
    pub operation: Operation,
    pub weights: Vec<ParameterId>,
    pub norm: Option<NormId>,
}

#[derive(Clone, Debug)]
pub enum CandidateBody {
    Zero,
    Identity,
    Layers(Vec<Layer>),
}

#[derive(Clone, Debug)]
pub struct Edge {
    pub source: usize,
    pub target: usize,
    /// Position in a child.
    pub slot: usize,
    pub candidates: Vec<CandidateBody>,
}

#[derive(Clone, Debug)]
pub struct CellInput {
    /// 1 = output of the block before, 2 = of the one before that.
    pub previous: usize,
    pub layers: Vec<Layer>,
}

#[derive(Clone, Debug)]
pub enum Block {
    /// `nodes`: shapes of the computed nodes, after the inputs.
    Searched {
        inputs: Vec<CellInput>,
        nodes: Vec<Shape>,
        edges: Vec<Edge>,
        rule: OutputRule,
        outputs: Vec<usize>,
    },
    Residual {
        branches: Vec<Vec<Layer>>,
    },
}

#[derive(Clone, Debug)]
pub struct Head {
    pub norm: Option<NormId>,
    pub relu: bool,
    pub weight: ParameterId,
    pub bias: ParameterId,
}

/// A search space at one size: every layer with its shapes, and the table of parameters.
#[derive(Clone, Debug)]
pub struct Network {
    pub space: Space,
    pub input: Shape,
    pub classes: usize,
    pub parameters: Vec<Parameter>,
    pub norms: Vec<Norm>,
    pub stem: Vec<Layer>,
    pub blocks: Vec<Block>,
    pub head: Head,
}

impl Network {
    /// Number of trained values (buffers not counted).
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().filter(|p| !p.role.is_buffer()).map(|p| p.layout.len()).sum()
    }

    /// Whether a trained parameter, no buffer, has this name.
    pub fn is_trained(&self, name: &str) -> bool {
        self.parameters.iter().any(|parameter| parameter.name == name && !parameter.role.is_buffer())
    }

    /// Whether `child` uses a parameter of that choice.
    pub fn uses(&self, child: &crate::space::Child, parameter: ParameterId) -> bool {
        self.parameters[parameter].choice.is_none_or(|(slot, candidate)| child.0[slot] == candidate)
    }

    /// Whether some batch normalization sees one pixel an image, so that one image alone has no variance.
    pub fn has_single_pixel_norm(&self) -> bool {
        let single = |layer: &Layer| layer.norm.is_some() && layer.operation.output().pixels() == 1;
        let mut layers = self.stem.iter().chain(self.blocks.iter().flat_map(Block::layers));
        layers.any(single)
    }
}

impl Block {
    /// Every layer, of every candidate too.
    fn layers(&self) -> Box<dyn Iterator<Item = &Layer> + '_> {
        match self {
            Self::Residual { branches } => Box::new(branches.iter().flatten()),
            Self::Searched { inputs, edges, .. } => {
                let candidates = edges.iter().flat_map(|edge| &edge.candidates).flat_map(|body| match body {
                    CandidateBody::Layers(layers) => layers.as_slice(),
                    CandidateBody::Zero | CandidateBody::Identity => &[],
                });
                Box::new(inputs.iter().flat_map(|input| &input.layers).chain(candidates))
            }
        }
    }
}
