//! Children that choose anew in every cell, instead of once for all cells of a kind.

use super::block::{Block, BlockKind};
use super::child::Child;
use super::model::{Cell, Space};

impl Space {
    /// This space with choices of its own for each of the searched blocks that `cells` cells make. A child of it is written as one
    /// part a block joined by `/`, or as a child of the tied space if all blocks choose alike.
    pub fn untied(mut self, cells: usize) -> Self {
        self.untied_cells = Some(cells);
        self
    }

    /// This space with one choice for all cells of a kind.
    pub fn tied(&self) -> Self {
        Self { untied_cells: None, ..self.clone() }
    }

    /// The cells for which a child chooses, with a label, in the order of its choices: by name, or block after block where untied.
    pub fn searched_cells(&self) -> Vec<(String, &Cell)> {
        let Some(cells) = self.untied_cells else {
            return self.cells.iter().map(|(name, cell)| (name.clone(), cell)).collect();
        };
        let searched = |block: Block<'_>| match self.cells.get(block.name) {
            Some(cell) if matches!(block.kind, BlockKind::Searched(_)) => {
                Some((format!("block {}", block.index), cell))
            }
            _ => None,
        };
        self.blocks(cells).into_iter().filter_map(searched).collect()
    }

    /// Position of a searched block's first choice in a child.
    pub fn first_choice(&self, block: &Block<'_>) -> usize {
        let edges = |cell: &Cell| cell.edge_list().len();
        match self.untied_cells {
            None => self.cells.iter().take_while(|(name, _)| *name != block.name).map(|(_, cell)| edges(cell)).sum(),
            Some(cells) => {
                let before = self.blocks(cells).into_iter().take(block.index);
                before.filter_map(|block| self.cells.get(block.name)).map(edges).sum()
            }
        }
    }

    /// The child that makes the choices of a child of [`Space::tied`] in every block.
    pub fn repeated(&self, tied: &Child) -> Child {
        let Some(cells) = self.untied_cells else { return tied.clone() };
        let kinds = self.tied();
        let choices = self.blocks(cells).into_iter().flat_map(|block| {
            let edges = self.cells.get(block.name).map_or(0, |cell| cell.edge_list().len());
            let first = kinds.first_choice(&block);
            tied.0[first.min(tied.0.len())..].iter().take(edges).copied().collect::<Vec<u8>>()
        });
        Child(choices.collect())
    }

    /// The child of [`Space::tied`] whose choices this child makes in every block, if there is one.
    pub(super) fn repeats(&self, child: &Child) -> Option<Child> {
        let cells = self.untied_cells?;
        let blocks = self.blocks(cells);
        let of_kind = |name: &str, cell: &Cell| {
            let block = blocks.iter().find(|block| block.name == name)?;
            child.0[self.first_choice(block)..].get(..cell.edge_list().len())
        };
        let choices = self.cells.iter().map(|(name, cell)| of_kind(name, cell)).collect::<Option<Vec<_>>>()?;
        let tied = Child(choices.concat());
        (self.repeated(&tied) == *child).then_some(tied)
    }
}
