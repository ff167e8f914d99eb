//! From a space and a size to layers with shapes and a parameter table.

use super::{
    Block, CandidateBody, CellInput, Edge, Head, Layer, Layout, Network, Norm, NormId, Parameter, ParameterId, Place,
    Role, Segments,
};
use crate::ops::{Convolution, DepthwiseSeparable, FactorizedReduce, Operation, Pool, PoolKind, Window};
use crate::space::{
    self, BlockKind, Candidate, Cell, LayerOperation, Normalization, OutputRule, Residual, Space, expand,
};
use crate::tensor::Shape;

#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    #[error(
        "{space}: a factorized reduction in {place} has no two halves of one size for {shape}; use images whose height and width can be halved at every reduction"
    )]
    OddSize { space: String, place: String, shape: Shape },
    #[error(
        "{space}: a factorized reduction in {place} cannot make {channels} channels in two halves; choose even channels"
    )]
    OddChannels { space: String, place: String, channels: usize },
    #[error("{space}: {place} sums feature maps of different shapes ({first} and {other}); mend the space's file")]
    Shapes { space: String, place: String, first: String, other: String },
    #[error("{space}: {place} reduces its input to nothing ({shape}); use larger images or fewer reductions")]
    TooSmall { space: String, place: String, shape: Shape },
    #[error("{space}: it has no {what} called `{name}`; mend the space's file")]
    Missing { space: String, what: &'static str, name: String },
    #[error("{what} must be at least {least} and at most {most}, not {found}; change it in [network]")]
    Size { what: &'static str, least: usize, most: usize, found: usize },
}

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
    fn parameter(&mut self, name: String, role: Role, layout: Layout, site: &Site) -> ParameterId {
        self.parameters.push(Parameter { name, role, place: site.place, layout, choice: site.choice });
        self.parameters.len() - 1
    }

    fn name(&self, site: &Site, name: &str) -> String {
        let full = if site.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", site.prefix) };
        expand(&full, &site.names)
    }

    fn norm(
        &mut self,
        name: String,
        channels: &Segments,
        rule: Normalization,
        bias: Option<ParameterId>,
        site: &Site,
    ) -> NormId {
        let layout = || Layout::Channels(channels.clone());
        let mut pair = |roles: [(&str, Role); 2]| {
            roles.map(|(suffix, role)| self.parameter(format!("{name}.{suffix}"), role, layout(), site))
        };
        let affine = rule.affine.then(|| pair([("weight", Role::Scale), ("bias", Role::Shift)]));
        let running =
            rule.tracked.then(|| pair([("running_mean", Role::RunningMean), ("running_var", Role::RunningVariance)]));
        self.norms.push(Norm {
            name,
            channels: channels.logical(),
            epsilon: rule.epsilon,
            momentum: rule.momentum,
            affine,
            running,
            bias,
        });
        self.norms.len() - 1
    }

    fn layers(
        &mut self,
        specs: &[space::Layer],
        site: &Site,
        mut feature: Feature,
    ) -> Result<(Vec<Layer>, Feature), NetworkError> {
        let mut layers = Vec::with_capacity(specs.len());
        for spec in specs {
            let (layer, next) = self.layer(spec, site, &feature)?;
            layers.push(layer);
            feature = next;
        }
        Ok((layers, feature))
    }

    fn layer(&mut self, spec: &space::Layer, site: &Site, feature: &Feature) -> Result<(Layer, Feature), NetworkError> {
        let stride = spec.stride_on(site.edge_stride);
        let window = Window { kernel: spec.kernel, stride, dilation: spec.dilation, padding: spec.padding() };
        let input = feature.shape();
        let extent = spec.dilation * (spec.kernel - 1) + 1;
        if input.height.min(input.width) + 2 * window.padding < extent {
            let (space, place) = (self.space.name.clone(), site.label.to_owned());
            return Err(NetworkError::TooSmall { space, place, shape: input });
        }
        let outputs = spec.channels * site.channels;
        let weight_names: Vec<String> = spec.weights.iter().map(|name| self.name(site, name)).collect();
        let weight_name = |index: usize| format!("{}.weight", weight_names[index]);
        let inputs = feature.segments.clone();
        let mut weights = Vec::new();
        let mut bias = None;
        let operation = match spec.operation {
            LayerOperation::Convolution => {
                let layout = Layout::Convolution { outputs, inputs, kernel: spec.kernel };
                let fan_in = input.channels * window.taps();
                weights.push(self.parameter(weight_name(0), Role::Weight { fan_in }, layout, site));
                if self.space.convolution_bias && site.choice.is_some() && spec.norm.is_some() {
                    let layout = Layout::Channels(Segments::features(vec![outputs]));
                    let name = format!("{}.bias", weight_names[0]);
                    bias = Some(self.parameter(name, Role::Bias { fan_in }, layout, site));
                }
                Operation::Convolution(Convolution { window, input, output: window.output_shape(input, outputs) })
            }
            LayerOperation::DepthwiseSeparable => {
                let depthwise = Layout::Depthwise { channels: inputs.clone(), kernel: spec.kernel };
                let pointwise = Layout::Convolution { outputs, inputs, kernel: 1 };
                let role = Role::Weight { fan_in: window.taps() };
                weights.push(self.parameter(weight_name(0), role, depthwise, site));
                let role = Role::Weight { fan_in: input.channels };
                weights.push(self.parameter(weight_name(1), role, pointwise, site));
                let output = window.output_shape(input, outputs);
                Operation::DepthwiseSeparable(DepthwiseSeparable { window, input, output })
            }
            LayerOperation::MaxPool | LayerOperation::AveragePool => {
                let max = matches!(spec.operation, LayerOperation::MaxPool);
                let kind = if max { PoolKind::Max } else { PoolKind::Average };
                Operation::Pool(Pool { kind, window, input, output: window.output_shape(input, input.channels) })
            }
            LayerOperation::FactorizedReduce => {
                let output = self.halved(site, input, outputs)?;
                let half = outputs / 2;
                for (index, outputs) in [0..half, half..outputs].into_iter().enumerate() {
                    let layout = Layout::Columns { outputs, channels: output.channels, inputs: inputs.clone() };
                    let role = Role::Weight { fan_in: input.channels };
                    weights.push(self.parameter(weight_name(index), role, layout, site));
                }
                Operation::FactorizedReduce(FactorizedReduce { input, output })
            }
        };
        let output = operation.output();
        let next = Feature {
            height: output.height,
            width: output.width,
            segments: match operation {
                Operation::Pool(_) => feature.segments.clone(),
                _ => Segments::features(vec![output.channels]),
            },
        };
        let norm = spec.norm.as_ref().map(|name| {
            let name = self.name(site, name);
            self.norm(name, &next.segments, site.normalization, bias, site)
        });
        let name = match (weight_names.last(), norm) {
            (Some(name), _) => name.clone(),
            (None, Some(norm)) => self.norms[norm].name.clone(),
            (None, None) => expand(&site.prefix, &site.names),
        };
        Ok((Layer { name, relu: spec.relu, operation, weights, norm }, next))
    }

    /// What a factorized reduction makes of `input`.
    fn halved(&self, site: &Site, input: Shape, channels: usize) -> Result<Shape, NetworkError> {
        let (space, place) = (self.space.name.clone(), site.label.to_owned());
        if !input.height.is_multiple_of(2) || !input.width.is_multiple_of(2) {
            return Err(NetworkError::OddSize { space, place, shape: input });
        }
        if !channels.is_multiple_of(2) {
            return Err(NetworkError::OddChannels { space, place, channels });
        }
        Ok(Shape::new(input.height / 2, input.width / 2, channels))
    }

    fn residual(
        &mut self,
        residual: &Residual,
        block: &space::Block,
        channels: usize,
        outputs: &[Feature],
    ) -> Result<(Block, Feature), NetworkError> {
        let missing = || self.missing("normalization", "normalization.residual");
        let site = Site {
            prefix: String::new(),
            names: vec![("cell", block.index)],
            place: Place::Cell(block.index),
            channels,
            edge_stride: 1,
            normalization: self.space.normalization.residual.ok_or_else(missing)?,
            choice: None,
            label: block.name,
        };
        let mut branches = Vec::new();
        let mut features = Vec::new();
        for specs in &residual.branches {
            let (layers, feature) = self.layers(specs, &site, previous(outputs, 1).clone())?;
            branches.push(layers);
            features.push(feature);
        }
        let output = self.sum(block.name, &features)?;
        Ok((Block::Residual { branches }, output))
    }

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

    fn searched(
        &mut self,
        cell: &Cell,
        block: &space::Block,
        channels: usize,
        outputs: &[Feature],
    ) -> Result<(Block, Feature), NetworkError> {
        let space = self.space;
        let first_slot = space.first_choice(block);
        let site = |prefix: String, edge_stride, choice| Site {
            prefix,
            names: vec![("cell", block.index)],
            place: Place::Cell(block.index),
            channels,
            edge_stride,
            normalization: space.normalization.cell,
            choice,
            label: block.name,
        };
        let size = previous(outputs, 1).height;
        let mut inputs = Vec::new();
        let mut nodes = Vec::new();
        for input in &cell.inputs {
            let source = previous(outputs, input.previous);
            let larger = source.height > size && !input.layers_after_reduction.is_empty();
            let specs = if larger { &input.layers_after_reduction } else { &input.layers };
            let (layers, feature) = self.layers(specs, &site(String::new(), 1, None), source.clone())?;
            inputs.push(CellInput { previous: input.previous, layers });
            nodes.push(feature);
        }
        let edge_list = cell.edge_list();
        let mut edges = Vec::new();
        for target in inputs.len()..inputs.len() + cell.nodes {
            let mut terms: Vec<Feature> = Vec::new();
            for (number, &(source, _)) in edge_list.iter().enumerate().filter(|(_, (_, t))| *t == target) {
                let stride = cell.edge_stride(source);
                let mut candidates = Vec::new();
                for (candidate, name) in cell.candidates.iter().enumerate() {
                    let prefix = cell.candidate_prefix(block.index, number, (source, target), candidate);
                    let choice = Some((first_slot + number, candidate as u8));
                    let (body, feature) = self.candidate(name, &site(prefix, stride, choice), &nodes[source])?;
                    candidates.push(body);
                    terms.extend(feature);
                }
                edges.push(Edge { source, target, slot: first_slot + number, candidates });
            }
            nodes.push(self.sum(block.name, &terms)?);
        }
        let chosen: Vec<Feature> = cell.output.nodes.iter().map(|node| nodes[*node].clone()).collect();
        let output = match cell.output.rule {
            OutputRule::Last | OutputRule::Sum => self.sum(block.name, &chosen)?,
            OutputRule::Concat => Feature {
                height: chosen[0].height,
                width: chosen[0].width,
                segments: Segments::features(chosen.iter().map(|f| f.segments.logical()).collect()),
            },
        };
        let computed = nodes[inputs.len()..].iter().map(Feature::shape).collect();
        let (rule, outputs) = (cell.output.rule, cell.output.nodes.clone());
        Ok((Block::Searched { inputs, nodes: computed, edges, rule, outputs }, output))
    }

    /// Body of a candidate and the shape that it gives (`None`: a zero of whatever shape).
    fn candidate(
        &mut self,
        name: &str,
        site: &Site,
        source: &Feature,
    ) -> Result<(CandidateBody, Option<Feature>), NetworkError> {
        let space = self.space;
        let candidate = space.candidates.get(name).ok_or_else(|| self.missing("candidate", name))?;
        let specs = match candidate {
            Candidate::Zero => return Ok((CandidateBody::Zero, None)),
            Candidate::Identity { .. } if site.edge_stride == 1 => {
                return Ok((CandidateBody::Identity, Some(source.clone())));
            }
            Candidate::Identity { reduction } => reduction,
            Candidate::Layers { layers } => layers,
        };
        let (layers, feature) = self.layers(specs, site, source.clone())?;
        Ok((CandidateBody::Layers(layers), Some(feature)))
    }

    fn head(&mut self, feature: &Feature, classes: usize) -> Head {
        let space = self.space;
        let site = Site {
            prefix: String::new(),
            names: Vec::new(),
            place: Place::Head,
            channels: feature.segments.logical(),
            edge_stride: 1,
            normalization: space.normalization.head.unwrap_or(space.normalization.stem),
            choice: None,
            label: "the head",
        };
        let norm = space.head.norm.as_ref().map(|name| {
            let rule = site.normalization;
            self.norm(name.clone(), &feature.segments, rule, None, &site)
        });
        let fan_in = feature.segments.logical();
        let layout = Layout::Linear { outputs: classes, inputs: feature.segments.clone() };
        let classifier = &space.head.classifier;
        let weight = self.parameter(format!("{classifier}.weight"), Role::Weight { fan_in }, layout, &site);
        let bias = self.parameter(format!("{classifier}.bias"), Role::Bias { fan_in }, Layout::Plain(classes), &site);
        Head { norm, relu: space.head.relu, weight, bias }
    }
}

/// Output of the block `back` blocks ago; of the stem where there is none.
fn previous(outputs: &[Feature], back: usize) -> &Feature {
    &outputs[outputs.len().saturating_sub(back)]
}
