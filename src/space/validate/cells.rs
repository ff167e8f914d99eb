//! The graphs of searched cells.

use super::super::error::Problem;
use super::super::layer::{channel_multiple, total_stride};
use super::super::model::{Candidate, Cell, OutputRule, Space};
use super::super::template::{self, ALPHA_VARIABLES, BLOCK_VARIABLES, EDGE_VARIABLES};
use super::layers::{check_fixed, check_stride};
use super::{Checked, Fault, is_word, list, number, require};

/// Most inputs or nodes of a cell.
const MOST_NODES: usize = 64;

pub(super) fn check(space: &Space) -> Checked {
    for (name, cell) in &space.cells {
        let place = format!("cells.{name}");
        require(is_word(name), || &place, || Problem::Word { name: name.clone() })?;
        check_inputs(cell, &place)?;
        number(cell.nodes, 1, MOST_NODES, || format!("{place}.nodes"))?;
        check_edges(cell, &place)?;
        check_candidates(space, name, cell, &place)?;
        check_output(cell, &place)?;
        check_nodes(cell, &place)?;
        let prefix = template::check(&cell.prefix, EDGE_VARIABLES);
        prefix.map_err(|problem| Fault { place: format!("{place}.prefix"), problem })?;
        check_search(space, cell, &place)?;
    }
    Ok(())
}

/// What a search over architecture parameters needs.
fn check_search(space: &Space, cell: &Cell, place: &str) -> Checked {
    if let Some(name) = &cell.alphas {
        let template = template::check(name, ALPHA_VARIABLES);
        template.map_err(|problem| Fault { place: format!("{place}.alphas"), problem })?;
    }
    if let Some(kept) = cell.kept_edges {
        let place = || format!("{place}.kept_edges");
        let edges = cell.edge_list();
        let into = |node: usize| edges.iter().filter(|&&(_, target)| target == node).count();
        let most = (0..cell.node_count()).map(into).max().unwrap_or(0);
        number(kept, 1, MOST_NODES, place)?;
        require(kept <= most, place, || Problem::KeptMost { kept, most })?;
        let zero = (0..cell.candidates.len()).any(|candidate| space.is_zero(cell, candidate as u8));
        require(zero, place, || Problem::KeptEdges)?;
    }
    Ok(())
}

fn check_inputs(cell: &Cell, place: &str) -> Checked {
    require(!cell.inputs.is_empty(), || format!("{place}.inputs"), || Problem::NoInputs)?;
    number(cell.inputs.len(), 1, MOST_NODES, || format!("{place}.inputs"))?;
    for (index, input) in cell.inputs.iter().enumerate() {
        let place = format!("{place}.inputs[{index}]");
        number(input.previous, 1, 2, || format!("{place}.previous"))?;
        for (key, layers, stride) in
            [("layers", &input.layers, 1), ("layers_after_reduction", &input.layers_after_reduction, 2)]
        {
            if layers.is_empty() {
                continue;
            }
            let place = format!("{place}.{key}");
            check_fixed(layers, &place, BLOCK_VARIABLES)?;
            check_stride(layers, &place, stride)?;
            match channel_multiple(layers) {
                Some(1) => {}
                Some(found) => return Err(Fault { place, problem: Problem::Channels { found } }),
                None => return Err(Fault { place, problem: Problem::ChannelsUnknown }),
            }
        }
    }
    Ok(())
}

fn check_edges(cell: &Cell, place: &str) -> Checked {
    let (first, last) = (cell.inputs.len(), cell.node_count() - 1);
    let mut before = None;
    for (index, (source_node, target)) in cell.edge_list().into_iter().enumerate() {
        let place = || format!("{place}.edges[{index}]");
        require(source_node.max(target) <= last, place, || Problem::EdgeNode { source_node, target, last })?;
        require(source_node < target, place, || Problem::EdgeBackward { source_node, target })?;
        require(target >= first, place, || Problem::EdgeIntoInput { source_node, target, first })?;
        require(before < Some((target, source_node)), place, || Problem::EdgeOrder { source_node, target })?;
        before = Some((target, source_node));
    }
    Ok(())
}

fn check_candidates(space: &Space, name: &str, cell: &Cell, place: &str) -> Checked {
    let place = format!("{place}.candidates");
    let count = cell.candidates.len();
    require(count > 0, || &place, || Problem::NoCandidates)?;
    require(count <= u8::MAX.into(), || &place, || Problem::TooManyCandidates { count })?;
    let mut strides: Vec<_> = cell.edge_list().iter().map(|&(source, _)| cell.edge_stride(source)).collect();
    strides.sort_unstable();
    strides.dedup();
    for (index, candidate) in cell.candidates.iter().enumerate() {
        let place = || format!("{place}[{index}]");
        let twice = cell.candidates[..index].contains(candidate);
        require(!twice, place, || Problem::CandidateTwice { name: candidate.clone() })?;
        let fits = match space.candidates.get(candidate) {
            None => {
                let known = list(space.candidates.keys());
                Err(Problem::NoSuchCandidate { name: candidate.clone(), known })
            }
            Some(definition) => {
                strides.iter().try_for_each(|&stride| check_on_edge(candidate, definition, name, stride))
            }
        };
        fits.map_err(|problem| Fault { place: place(), problem })?;
    }
    Ok(())
}

/// Whether a candidate turns an edge's input into the size of its target.
fn check_on_edge(name: &str, candidate: &Candidate, cell: &str, needed: usize) -> Result<(), Problem> {
    let (name, cell) = (name.to_owned(), cell.to_owned());
    match candidate {
        Candidate::Identity { reduction } if needed != 1 && reduction.is_empty() => {
            Err(Problem::IdentityReduction { name, cell })
        }
        Candidate::Layers { layers } if total_stride(layers, needed) != needed => {
            Err(Problem::CandidateStride { name, cell, found: total_stride(layers, needed), needed })
        }
        _ => Ok(()),
    }
}

fn check_output(cell: &Cell, place: &str) -> Checked {
    let nodes = &cell.output.nodes;
    let place = format!("{place}.output.nodes");
    require(!nodes.is_empty(), || &place, || Problem::NoOutput)?;
    let one = cell.output.rule != OutputRule::Last || nodes.len() == 1;
    require(one, || &place, || Problem::LastNodes { found: nodes.len() })?;
    let last = cell.node_count() - 1;
    for (index, &node) in nodes.iter().enumerate() {
        let place = || format!("{place}[{index}]");
        require(node <= last, place, || Problem::OutputNode { node, last })?;
        require(!nodes[..index].contains(&node), place, || Problem::OutputTwice { node })?;
        let halved = !cell.reduces || node >= cell.inputs.len();
        require(halved, place, || Problem::OutputSize { node })?;
    }
    Ok(())
}

/// Every computed node has an edge in and a way to the output.
fn check_nodes(cell: &Cell, place: &str) -> Checked {
    let edges = cell.edge_list();
    let mut used = vec![false; cell.node_count()];
    for &node in &cell.output.nodes {
        used[node] = true;
    }
    for &(source, target) in edges.iter().rev() {
        used[source] |= used[target];
    }
    for (node, used) in used.into_iter().enumerate().skip(cell.inputs.len()) {
        let place = || format!("{place}.edges");
        let entered = edges.iter().any(|&(_, target)| target == node);
        require(entered, place, || Problem::NodeWithoutEdge { node })?;
        require(used, place, || Problem::NodeWithoutUse { node })?;
    }
    Ok(())
}
