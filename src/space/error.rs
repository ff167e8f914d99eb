//! What can be wrong with a search space: which file, which place in it, what to do.

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum SpaceError {
    #[error("no search space is called `{name}`: name one of {built_in}, or a file that ends in `.toml`")]
    UnknownName { name: String, built_in: String },

    #[error("the search space `{}` cannot be read ({cause}): check the path, or name one of {built_in}", path.display())]
    Read { path: PathBuf, cause: io::Error, built_in: String },

    /// The text is no TOML, or has an unknown key, a missing key or a value of the wrong type.
    #[error("{origin}, line {line}: {message}; correct the file there")]
    Syntax { origin: String, line: usize, message: String },

    /// The keys and types are right, but what they say is not.
    #[error("{origin}, at `{place}`: {problem}")]
    Invalid { origin: String, place: String, problem: Problem },
}

/// A statement that a space cannot mean. The sentence reads after the place where it stands.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Problem {
    #[error("{number} is not from {lowest} to {highest}; write a number that is")]
    Number { number: usize, lowest: usize, highest: usize },
    #[error("{number} is not above 0 and at most 1; write a number that is")]
    Fraction { number: f64 },
    #[error("`{name}` is not one word of lower-case letters, digits and underscores; rename it")]
    Word { name: String },

    // Normalization
    #[error(
        "a norm is named here, but the file does not say how it normalizes; add `normalization.{place}` or remove the norm"
    )]
    NormalizationMissing { place: &'static str },
    #[error("nothing at this place has a norm; name one there or remove this entry")]
    NormalizationUnused,

    // Layers
    #[error("there are no layers; write at least one")]
    NoLayers,
    #[error(
        "the kernel {kernel} is even; write an odd one (only a pool without dilation may have an even kernel, equal to its stride)"
    )]
    EvenKernel { kernel: usize },
    #[error(
        "a {operation} has kernel 1, dilation 1 and stride {stride} without saying; remove `kernel`, `dilation`, `stride` and `edge_stride`"
    )]
    FixedWindow { operation: &'static str, stride: usize },
    #[error("both `stride` and `edge_stride` are given; keep one")]
    TwoStrides,
    #[error("`edge_stride` stands outside a candidate, where there is no edge; write `stride`")]
    EdgeStrideWithoutEdge,
    #[error("`{operation}` keeps the channels of its input; remove `channels`")]
    KeptChannels { operation: &'static str },
    #[error("{found} weight names are given, but `{operation}` has {needed}; write {needed}")]
    WeightNames { found: usize, operation: &'static str, needed: usize },
    #[error("the layers have stride {found} where {needed} is needed; change `stride` or `edge_stride`")]
    Stride { found: usize, needed: usize },
    #[error("the layers make {found} times C channels where C is needed; change `channels` of the last of them")]
    Channels { found: usize },
    #[error("these layers keep whatever channels come in; add a convolution")]
    ChannelsUnknown,
    #[error("branch 0 makes {first} times C channels and this one {found}, so they have no sum; change `channels`")]
    BranchChannels { first: usize, found: usize },

    // Names
    #[error("a parameter name is empty or has blanks around it; write the name")]
    EmptyName,
    #[error("`{template}` has a brace without its partner; write variables as `{{cell}}`")]
    Braces { template: String },
    #[error("`{template}` uses `{{{variable}}}`, which means nothing here; allowed: {allowed}")]
    Variable { variable: String, template: String, allowed: String },
    #[error("the parameter name `{name}` also stands at `{other}`; make the names differ, for example by a variable")]
    NameTwice { name: String, other: String },

    // Skeleton
    #[error("there is no searched cell `{name}`; name one of {known}")]
    NoSuchCell { name: String, known: String },
    #[error("this arrangement needs a reduction; name one of {known}")]
    ReductionMissing { known: String },
    #[error("there is no searched cell or residual block `{name}`; name one of {known}")]
    NoSuchReduction { name: String, known: String },
    #[error("a uniform arrangement has no reduction; remove this key or choose `stages` or `thirds`")]
    ReductionUnused,
    #[error("the cell that repeats must keep the size; remove `reduces` from `cells.{name}`")]
    RepeatedCellReduces { name: String },
    #[error("a cell that is named as reduction must halve the size; add `reduces = true` to `cells.{name}`")]
    ReductionKeepsSize { name: String },
    #[error("the skeleton uses no such block; remove it or name it in `skeleton`")]
    BlockUnused,
    #[error("a searched cell has the same name; rename one")]
    BlockNameTwice,

    // Cells
    #[error("the cell has no inputs; write at least one")]
    NoInputs,
    #[error(
        "an input without layers must come in with C channels, but `{producer}` gives {found}; add layers that make C"
    )]
    InputChannels { producer: String, found: String },
    #[error("an input from two blocks before can have twice the size; add `layers_after_reduction` with stride 2")]
    AfterReductionMissing,
    #[error("this input never has twice the size; remove `layers_after_reduction`")]
    AfterReductionUnused,
    #[error("the edge from {source_node} to {target} names a node that the cell lacks; its nodes are 0 to {last}")]
    EdgeNode { source_node: usize, target: usize, last: usize },
    #[error(
        "the edge from {source_node} to {target} does not point forward; its source must be smaller than its target"
    )]
    EdgeBackward { source_node: usize, target: usize },
    #[error("the edge from {source_node} to {target} ends in an input; edges end in computed nodes, from {first} on")]
    EdgeIntoInput { source_node: usize, target: usize, first: usize },
    #[error("the edge from {source_node} to {target} is out of order; order edges by target, then source, each once")]
    EdgeOrder { source_node: usize, target: usize },
    #[error("no edge ends in node {node}; add one or reduce `nodes`")]
    NodeWithoutEdge { node: usize },
    #[error("no path leads from node {node} to the output; add an edge, or add the node to `output.nodes`")]
    NodeWithoutUse { node: usize },
    #[error("there are no candidates; name at least one")]
    NoCandidates,
    #[error("{count} candidates are more than 255; remove some")]
    TooManyCandidates { count: usize },
    #[error("there is no candidate `{name}`; name one of {known}, or define it under `candidates`")]
    NoSuchCandidate { name: String, known: String },
    #[error("the candidate `{name}` stands twice; remove one")]
    CandidateTwice { name: String },
    #[error(
        "`{name}` stands on edges with stride 2 in `cells.{cell}`, but has no `reduction`; add layers with stride 2"
    )]
    IdentityReduction { name: String, cell: String },
    #[error(
        "`{name}` has stride {found} on edges with stride {needed} in `cells.{cell}`; give `edge_stride = true` to one of its layers and no other stride"
    )]
    CandidateStride { name: String, cell: String, found: usize, needed: usize },
    #[error("edges that are not kept take a zero candidate, but the cell has none; add one, or remove `kept_edges`")]
    KeptEdges,
    #[error("no node has more than {most} edges, so that keeping {kept} drops none; lower it, or remove `kept_edges`")]
    KeptMost { kept: usize, most: usize },
    #[error("no node enters the output; name at least one")]
    NoOutput,
    #[error("`last` takes exactly one node, but {found} are given; keep one or choose `concat` or `sum`")]
    LastNodes { found: usize },
    #[error("the node {node} is not in the cell; its nodes are 0 to {last}")]
    OutputNode { node: usize, last: usize },
    #[error("the node {node} stands twice; remove one")]
    OutputTwice { node: usize },
    #[error("the input {node} has twice the size of the nodes in a cell that reduces; remove it from the output")]
    OutputSize { node: usize },

    // Children
    #[error("`digits` numbers candidates from 1 to 9, but `cells.{cell}` has {count}; choose `numbers`")]
    DigitsCandidates { cell: String, count: usize },
    #[error("`{encoding}` writes the edges of one searched cell, but there are {count}; choose `numbers`")]
    OneCell { encoding: &'static str, count: usize },
    #[error("`darts` writes the cells `normal` and `reduce` and no others; name them so or choose `numbers`")]
    GenotypeCells,
    #[error("`darts` writes genotypes, but `cells.{cell}` lacks {lacking}; choose `numbers`")]
    Genotype { cell: String, lacking: &'static str },
    #[error("there are 2^128 children or more, which is too many to number; remove edges or candidates")]
    TooManyChildren,
}
