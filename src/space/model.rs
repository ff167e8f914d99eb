//! The file format of a search space: one TOML file, read into these types.
//!
//! Sizes are counts of pixels or channels. A parameter name may hold variables in braces; see [`super::template`].

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use super::candidate::Candidate;
pub use super::layer::Layer;

/// A search space: macro skeleton, cell graphs, candidates, normalization and official parameter names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Space {
    pub name: String,
    /// One line.
    pub title: String,
    /// Paper, equation or code that the file follows.
    pub source: String,
    pub encoding: Encoding,
    /// Whether candidates' convolutions before a normalization have a bias. The normalization cancels it, but it is a parameter
    /// that decays: AutoDL-Projects' supernets have it where the cells' normalization is not affine.
    #[serde(default)]
    pub convolution_bias: bool,
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
    /// Not of the file: how many cells (as the arrangement counts them) choose for themselves; see [`Space::untied`].
    #[serde(skip)]
    pub untied_cells: Option<usize>,
}

/// How children are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// One digit an edge, candidates numbered from 1 (`zhang64`).
    Digits,
    /// One number an edge, candidates numbered from 1, joined by `-`.
    Numbers,
    /// As `numbers`; a genotype of DARTS is read too (`darts`).
    Darts,
    /// Candidates by name, edges by their source: `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|` (`nasbench201`).
    Nasbench201,
}

/// Sizes of the network where a run names no others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// C: channels of the first cell.
    pub channels: usize,
    /// Number of cells as the arrangement counts them: in all, or a stage (see [`Arrangement`]).
    pub cells: usize,
    pub classes: usize,
}

/// Batch normalization by place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NormalizationPlaces {
    pub stem: Normalization,
    /// Candidates and the preprocessing of cell inputs.
    pub cell: Normalization,
    /// Needed where a residual block has a norm, refused elsewhere.
    pub residual: Option<Normalization>,
    /// Needed where the head has a norm, refused elsewhere.
    pub head: Option<Normalization>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// Whether it has a learned scale and shift.
    pub affine: bool,
    /// Whether it keeps running statistics.
    pub tracked: bool,
    /// Weight of a new mini-batch in the running statistics, above 0 and at most 1.
    pub momentum: f64,
    /// Added to the variance, above 0.
    pub epsilon: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stem {
    /// Parameter names are full names. Channels are multiples of the first cell's C.
    pub layers: Vec<Layer>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skeleton {
    pub arrangement: Arrangement,
    /// The searched cell that repeats.
    pub cell: String,
    /// What stands between stages or at the thirds: a searched cell that reduces, or a residual block.
    pub reduction: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrangement {
    /// `cells` cells, all alike.
    Uniform,
    /// Three stages of `cells` cells, a reduction between them; channels double, size halves.
    Stages,
    /// `cells` cells in all; those at index `cells / 3` and `2 * cells / 3` are reductions; channels double, size halves.
    Thirds,
}

/// A searched cell. Nodes are numbered with the inputs first. Every node is the sum of its edges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    pub inputs: Vec<CellInput>,
    /// Computed nodes, after the inputs.
    pub nodes: usize,
    /// (source, target) pairs, targets in order, then sources; left out: every earlier node into every node.
    pub edges: Option<Vec<[usize; 2]>>,
    /// Names of candidates, the same on every edge.
    pub candidates: Vec<String>,
    /// Prefix of a candidate's parameters: `{cell}`, `{target}`, `{node}` (target without the inputs), `{source}`, `{edge}`, `{candidate}`.
    pub prefix: String,
    pub output: Output,
    /// Name of the architecture parameters: one tensor `[edges, candidates]` for all edges, or one a node where it has `{node}`;
    /// `alphas_` and the cell's name unless given.
    pub alphas: Option<String>,
    /// Edges that a node keeps in the child that architecture parameters make; all unless given. The others take a zero candidate; a node
    /// that has no more keeps all.
    pub kept_edges: Option<usize>,
    /// Stride 2 on edges that leave an input; channels double.
    #[serde(default)]
    pub reduces: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellInput {
    /// 1 = the output of the cell before, 2 = of the one before that (of the stem where there is none).
    pub previous: usize,
    /// Preprocessing; none = taken as it is. Parameter names are full names and may use `{cell}`.
    #[serde(default)]
    pub layers: Vec<Layer>,
    /// Preprocessing where the input has twice the size: it comes from two blocks before, and the block before was a
    /// reduction.
    #[serde(default)]
    pub layers_after_reduction: Vec<Layer>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    pub rule: OutputRule,
    /// Nodes that enter; for `last` exactly one.
    pub nodes: Vec<usize>,
}

/// How the output of a cell is made of its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputRule {
    Last,
    Concat,
    Sum,
}

/// A fixed block that halves the size: the sum of its branches. Parameter names are full names and may use `{cell}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    pub branches: Vec<Vec<Layer>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Batch normalization before the pool, if any: its name.
    pub norm: Option<String>,
    #[serde(default)]
    pub relu: bool,
    /// Name of the linear classifier, without `.weight` and `.bias`.
    pub classifier: String,
}
