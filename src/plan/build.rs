//! From a network and the choice of each lane to a graph.

use super::graph::{GateRef, Graph, NormUse, Stage, StageKind, Value, ValueId};
use crate::network::ParameterRef;
use crate::network::{Block, CandidateBody, Layer, Network, NormId, ParameterId};
use crate::space::{Child, OutputRule};
use crate::tensor::Shape;
use std::collections::HashMap;

/// Weight of every candidate on every edge (slot) of a child.
#[derive(Clone, Debug, PartialEq)]
pub struct Gates(pub Vec<Vec<f64>>);

/// Which candidates a lane computes.
#[derive(Clone, Copy, Debug)]
pub enum Choice<'a> {
    /// One candidate an edge; gates are 1 and not multiplied.
    Child(&'a Child),
    /// Every candidate, weighted by its gate.
    Mixture,
}

/// Two stages with equal keys compute the same bits.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    kind: StageKind,
    inputs: Vec<ValueId>,
    /// Sums of nothing differ in it alone.
    shape: Shape,
    norm: Option<NormUse>,
}

/// Adds lanes to a graph; equal stages on equal inputs are computed once.
pub struct GraphBuilder<'a> {
    network: &'a Network,
    graph: Graph,
    known: HashMap<Key, ValueId>,
}

/// Resolves the copy of a parameter that a lane uses.
type CopyOf<'a> = &'a dyn Fn(ParameterId) -> u32;

impl<'a> GraphBuilder<'a> {
    pub fn new(network: &'a Network) -> Self {
        let image = Value { name: "image".to_owned(), shape: network.input, norm: None };
        Self { network, graph: Graph { values: vec![image], ..Graph::default() }, known: HashMap::new() }
    }

    /// Adds one lane; `copy_of` resolves the sharing policy.
    pub fn lane(&mut self, choice: Choice, copy_of: CopyOf) {
        let network = self.network;
        let stem = self.layers(&network.stem, vec![Graph::IMAGE], copy_of);
        let mut outputs = vec![stem];
        for (index, block) in network.blocks.iter().enumerate() {
            let output = self.block(block, index, choice, copy_of, &outputs);
            outputs.push(output);
        }
        let mut inputs = outputs.swap_remove(outputs.len() - 1);
        if let Some(norm) = network.head.norm {
            let norm = self.norm_use(norm, copy_of);
            // A norm needs a stored value of its own: the producer may already be read under another one.
            inputs = vec![self.sum("head", &inputs, Some(norm))];
        }
        let of = |parameter| ParameterRef { parameter, copy: copy_of(parameter) };
        let (weight, bias) = (of(network.head.weight), of(network.head.bias));
        let kind = StageKind::Head { relu: network.head.relu, weight, bias };
        let name = network.parameters[network.head.weight].name.clone();
        self.graph.stages.push(Stage { name, kind, inputs, output: None });
        self.graph.heads.push(self.graph.stages.len() - 1);
    }

    pub fn finish(self) -> Graph {
        self.graph
    }

    fn norm_use(&self, id: NormId, copy_of: CopyOf) -> NormUse {
        let resolve =
            |pair: [ParameterId; 2]| pair.map(|parameter| ParameterRef { parameter, copy: copy_of(parameter) });
        let norm = &self.network.norms[id];
        let bias = norm.bias.map(|parameter| ParameterRef { parameter, copy: copy_of(parameter) });
        NormUse { norm: id, affine: norm.affine.map(resolve), running: norm.running.map(resolve), bias }
    }

    fn stage(
        &mut self,
        name: &str,
        kind: StageKind,
        inputs: Vec<ValueId>,
        shape: Shape,
        norm: Option<NormUse>,
    ) -> ValueId {
        let key = Key { kind, inputs, shape, norm };
        if let Some(value) = self.known.get(&key) {
            return *value;
        }
        self.graph.values.push(Value { name: name.to_owned(), shape, norm });
        let output = self.graph.values.len() - 1;
        let (kind, inputs) = (key.kind.clone(), key.inputs.clone());
        self.graph.stages.push(Stage { name: name.to_owned(), kind, inputs, output: Some(output) });
        self.known.insert(key, output);
        output
    }

    fn node(
        &mut self,
        name: &str,
        shape: Shape,
        terms: Vec<(ValueId, Option<GateRef>)>,
        norm: Option<NormUse>,
    ) -> ValueId {
        let (inputs, gates) = terms.into_iter().unzip();
        self.stage(name, StageKind::Node { gates }, inputs, shape, norm)
    }

    fn sum(&mut self, name: &str, terms: &[ValueId], norm: Option<NormUse>) -> ValueId {
        let shape = self.graph.values[terms[0]].shape;
        self.node(name, shape, terms.iter().map(|v| (*v, None)).collect(), norm)
    }

    /// A concatenation reads each value once: a repeated one is copied.
    fn distinct(&mut self, mut values: Vec<ValueId>, block: usize) -> Vec<ValueId> {
        for position in 1..values.len() {
            if values[..position].contains(&values[position]) {
                values[position] = self.sum(&format!("block {block} copy {position}"), &[values[position]], None);
            }
        }
        values
    }

    fn layers(&mut self, layers: &[Layer], mut inputs: Vec<ValueId>, copy_of: CopyOf) -> Vec<ValueId> {
        for layer in layers {
            let weights =
                layer.weights.iter().map(|&parameter| ParameterRef { parameter, copy: copy_of(parameter) }).collect();
            let norm = layer.norm.map(|norm| self.norm_use(norm, copy_of));
            let kind = StageKind::Linear { operation: layer.operation, relu: layer.relu, weights };
            inputs = vec![self.stage(&layer.name, kind, inputs, layer.operation.output(), norm)];
        }
        inputs
    }

    fn block(
        &mut self,
        block: &Block,
        index: usize,
        choice: Choice,
        copy_of: CopyOf,
        outputs: &[Vec<ValueId>],
    ) -> Vec<ValueId> {
        let previous = |back: usize| outputs[outputs.len().saturating_sub(back)].clone();
        let (inputs, nodes, edges, rule, chosen) = match block {
            Block::Residual { branches } => {
                let terms: Vec<ValueId> =
                    branches.iter().flat_map(|layers| self.layers(layers, previous(1), copy_of)).collect();
                return vec![self.sum(&format!("block {index}"), &terms, None)];
            }
            Block::Searched { inputs, nodes, edges, rule, outputs } => (inputs, nodes, edges, *rule, outputs),
        };
        let mut values: Vec<Vec<ValueId>> =
            inputs.iter().map(|input| self.layers(&input.layers, previous(input.previous), copy_of)).collect();
        for (node, shape) in nodes.iter().enumerate() {
            let target = inputs.len() + node;
            let name = format!("block {index} node {target}");
            let mut terms = Vec::new();
            for edge in edges.iter().filter(|edge| edge.target == target) {
                let mut add = |candidate: usize, gate| match &edge.candidates[candidate] {
                    CandidateBody::Zero => {}
                    CandidateBody::Identity => terms.extend(values[edge.source].iter().map(|v| (*v, gate))),
                    CandidateBody::Layers(layers) => {
                        let out = self.layers(layers, values[edge.source].clone(), copy_of);
                        terms.extend(out.into_iter().map(|v| (v, gate)));
                    }
                };
                match choice {
                    Choice::Child(child) => add(usize::from(child.0[edge.slot]), None),
                    Choice::Mixture => (0..edge.candidates.len())
                        .for_each(|candidate| add(candidate, Some(GateRef { slot: edge.slot, candidate }))),
                }
            }
            // A node with one source is never stored: its consumers read the source.
            let value = match terms.as_slice() {
                [(value, None)] => *value,
                _ => self.node(&name, *shape, terms, None),
            };
            values.push(vec![value]);
        }
        let sources: Vec<ValueId> = chosen.iter().flat_map(|node| values[*node].iter().copied()).collect();
        match rule {
            OutputRule::Last => sources,
            OutputRule::Sum => vec![self.sum(&format!("block {index} sum"), &sources, None)],
            OutputRule::Concat => self.distinct(sources, index),
        }
    }
}
