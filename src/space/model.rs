//! The file format of a search space: one TOML file, read into these types.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A search space: macro skeleton, cell graphs, candidates, normalisation and official parameter names.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Space {
    pub name: String,
    /// One sentence.
    pub title: String,
    /// Paper, equation or code that the file follows.
    pub source: String,
    pub encoding: Encoding,
    pub defaults: Defaults,
    pub normalization: NormalizationPlaces,
    pub stem: Stem,
    pub skeleton: Skeleton,
    /// Searched cells by name. A child holds one choice per edge of each of them, in the order of the names.
    pub cells: BTreeMap<String, Cell>,
    /// Fixed blocks by name.
    #[serde(default)]
    pub residuals: BTreeMap<String, Residual>,
    pub candidates: BTreeMap<String, Candidate>,
    pub head: Head,
}

/// How children are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// One digit an edge, candidates numbered from 1 (`zhang64`).
    Digits,
    /// `|op~0|+|op~0|op~1|+...` (NAS-Bench-201).
    Arrow,
    /// `Genotype(normal=[...], ...)` (DARTS).
    Genotype,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// C: channels of the first cell.
    pub channels: usize,
    /// Number in `Skeleton::arrangement`'s sense.
    pub cells: usize,
    pub classes: usize,
}

/// Batch normalisation by place.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NormalizationPlaces {
    pub stem: Normalization,
    pub cell: Normalization,
    pub residual: Option<Normalization>,
    pub head: Option<Normalization>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// Whether it has a learned scale and shift.
    pub affine: bool,
    /// Whether it keeps running statistics.
    pub tracked: bool,
    /// Weight of a new mini-batch in the running statistics.
    pub momentum: f64,
    pub epsilon: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stem {
    pub layers: Vec<Layer>,
}

/// One stage: [ReLU,] linear operation [, batch normalisation].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    pub operation: LayerOperation,
    #[serde(default)]
    pub relu: bool,
    #[serde(default = "one")]
    pub kernel: usize,
    #[serde(default = "one")]
    pub dilation: usize,
    #[serde(default = "one")]
    pub stride: usize,
    /// This layer takes the stride of the edge that it stands on.
    #[serde(default)]
    pub edge_stride: bool,
    /// Output channels as a multiple of the place's C; 1 unless given.
    #[serde(default = "one")]
    pub channels: usize,
    /// Parameter names without `.weight`, below the prefix: one for a convolution, two for a depthwise separable one
    /// (depthwise, pointwise) and for a factorized reduction; none for a pool.
    #[serde(default)]
    pub weights: Vec<String>,
    /// Name of its batch normalisation below the prefix, if it has one.
    pub norm: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerOperation {
    Convolution,
    DepthwiseSeparable,
    MaxPool,
    AveragePool,
    /// 1x1 stride-2 convolutions on x and on x[1:, 1:], half the channels each, concatenated.
    FactorizedReduce,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skeleton {
    pub arrangement: Arrangement,
    /// The searched cell that repeats.
    pub cell: String,
    /// What stands between stages or at the thirds: a searched cell or a residual block.
    pub reduction: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrangement {
    /// `cells` cells, all alike.
    Uniform,
    /// Three stages of `cells` cells, a reduction between them; channels double, size halves.
    Stages,
    /// `cells` cells in all; those at a third and two thirds are reductions.
    Thirds,
}

/// A searched cell. Nodes are numbered with the inputs first. Every node is the sum of its edges.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    pub inputs: Vec<CellInput>,
    /// Computed nodes, after the inputs.
    pub nodes: usize,
    /// (source, target) pairs; left out: every earlier node into every node, targets in order, then sources.
    pub edges: Option<Vec<[usize; 2]>>,
    /// Names of candidates, the same on every edge.
    pub candidates: Vec<String>,
    /// Prefix of a candidate's parameters: `{cell}`, `{target}`, `{node}` (target without the inputs), `{source}`, `{edge}`, `{candidate}`.
    pub prefix: String,
    pub output: Output,
    /// Stride 2 on edges that leave an input; channels double.
    #[serde(default)]
    pub reduces: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellInput {
    /// 1 = the output of the cell before, 2 = of the one before that (of the stem where there is none).
    pub previous: usize,
    /// Preprocessing; none = taken as it is. Parameter names may use `{cell}`.
    #[serde(default)]
    pub layers: Vec<Layer>,
    /// Preprocessing where the input has twice the size (the cell before it was a reduction).
    #[serde(default)]
    pub layers_after_reduction: Vec<Layer>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    pub rule: OutputRule,
    /// Nodes that enter; for `last` exactly one.
    pub nodes: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputRule {
    Last,
    Concat,
    Sum,
}

/// A fixed block: the sum of its branches. Parameter names may use `{cell}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    pub branches: Vec<Vec<Layer>>,
}

/// What a candidate computes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "kind")]
pub enum Candidate {
    /// Zero: no path.
    Zero,
    /// The input itself at stride 1; at stride 2 these layers.
    Identity {
        #[serde(default)]
        reduction: Vec<Layer>,
    },
    /// Layers one after the other; names below the edge's prefix.
    Layers { layers: Vec<Layer> },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Batch normalisation before the pool, if any: its name.
    pub norm: Option<String>,
    #[serde(default)]
    pub relu: bool,
    /// Name of the linear classifier, without `.weight` and `.bias`.
    pub classifier: String,
}

/// One architecture: the candidate (from 0) of every edge of every searched cell.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Child(pub Vec<u8>);

const fn one() -> usize {
    1
}
