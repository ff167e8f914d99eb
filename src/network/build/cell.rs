//! Searched cells.

use super::{Builder, Feature, NetworkError, Site, previous};
use crate::network::{Block, CandidateBody, CellInput, Edge, Place, Segments};
use crate::space::{self, Candidate, Cell, OutputRule};

impl Builder<'_> {
    pub(super) fn searched(
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
}
