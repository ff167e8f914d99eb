//! No two parameters of the network have one name.

use std::collections::HashMap;

use super::super::block::{Block, BlockKind};
use super::super::error::Problem;
use super::super::model::{Candidate, Cell, Layer, Space};
use super::super::template::expand;
use super::{Checked, require};

/// Enough cells that every kind of block stands twice in every arrangement.
const CELLS: usize = 6;

pub(super) fn check(space: &Space) -> Checked {
    let mut names = Names::default();
    for tensor in space.alpha_tensors() {
        names.add(tensor.name, "alphas")?;
    }
    names.add_layers(&space.stem.layers, "stem.layers", "", &[])?;
    for block in space.blocks(space.defaults.cells.max(CELLS)) {
        let place = format!("{} (block {})", block_key(&block), block.index);
        match block.kind {
            BlockKind::Searched(cell) => names.add_cell(space, cell, &block, &place)?,
            BlockKind::Residual(residual) => {
                for branch in &residual.branches {
                    names.add_layers(branch, &place, "", &[("cell", block.index)])?;
                }
            }
        }
    }
    if let Some(norm) = &space.head.norm {
        names.add(norm.clone(), "head.norm")?;
    }
    names.add(space.head.classifier.clone(), "head.classifier")
}

fn block_key(block: &Block) -> String {
    match block.kind {
        BlockKind::Searched(_) => format!("cells.{}", block.name),
        BlockKind::Residual(_) => format!("residuals.{}", block.name),
    }
}

/// Where each name was first seen.
#[derive(Default)]
struct Names(HashMap<String, String>);

impl Names {
    fn add(&mut self, name: String, place: &str) -> Checked {
        match self.0.insert(name.clone(), place.to_owned()) {
            None => Ok(()),
            Some(other) => require(false, || place, || Problem::NameTwice { name, other }),
        }
    }

    fn add_layers(&mut self, layers: &[Layer], place: &str, prefix: &str, variables: &[(&str, usize)]) -> Checked {
        for name in layers.iter().flat_map(|layer| layer.weights.iter().chain(&layer.norm)) {
            self.add(format!("{prefix}{}", expand(name, variables)), place)?;
        }
        Ok(())
    }

    fn add_cell(&mut self, space: &Space, cell: &Cell, block: &Block, place: &str) -> Checked {
        for (index, input) in cell.inputs.iter().enumerate() {
            let after = block.after_reduction && input.previous == 2;
            let layers = if after { &input.layers_after_reduction } else { &input.layers };
            self.add_layers(layers, &format!("{place}, input {index}"), "", &[("cell", block.index)])?;
        }
        for (edge, (source, target)) in cell.edge_list().into_iter().enumerate() {
            for (index, name) in cell.candidates.iter().enumerate() {
                let layers = match space.candidates.get(name) {
                    Some(Candidate::Layers { layers }) => layers,
                    Some(Candidate::Identity { reduction }) if cell.edge_stride(source) == 2 => reduction,
                    _ => continue,
                };
                let prefix = cell.candidate_prefix(block.index, edge, (source, target), index);
                let place = format!("{place}, edge {source}->{target}, {name}");
                self.add_layers(layers, &place, &format!("{prefix}."), &[])?;
            }
        }
        Ok(())
    }
}
