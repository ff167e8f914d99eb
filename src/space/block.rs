//! The skeleton laid out: which block stands where, and how wide it is.

use super::model::{Arrangement, Cell, Residual, Space};

/// A block of the network between stem and head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block<'a> {
    /// Position after the stem, reductions counted: the `{cell}` of parameter names.
    pub index: usize,
    /// Key in `Space::cells` or `Space::residuals`.
    pub name: &'a str,
    pub kind: BlockKind<'a>,
    /// Whether it halves the size.
    pub reduces: bool,
    /// Whether the block before it halved the size.
    pub after_reduction: bool,
    /// This block's C as a multiple of the first cell's C: doubled by every reduction, itself included.
    pub channel_multiple: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BlockKind<'a> {
    Searched(&'a Cell),
    Residual(&'a Residual),
}

impl Space {
    /// The blocks in order, for `cells` cells as the arrangement counts them. A name that the space lacks gives no
    /// block; validated spaces have none.
    pub fn blocks(&self, cells: usize) -> Vec<Block<'_>> {
        let repeated = || std::iter::repeat_n(false, cells);
        let reductions: Vec<bool> = match self.skeleton.arrangement {
            Arrangement::Uniform => repeated().collect(),
            Arrangement::Stages => repeated().chain([true]).chain(repeated()).chain([true]).chain(repeated()).collect(),
            Arrangement::Thirds => (0..cells).map(|cell| cell == cells / 3 || cell == 2 * cells / 3).collect(),
        };
        let mut blocks = Vec::with_capacity(reductions.len());
        let (mut channel_multiple, mut after_reduction) = (1, false);
        for (index, reduces) in reductions.into_iter().enumerate() {
            let name = if reduces { self.skeleton.reduction.as_deref() } else { Some(self.skeleton.cell.as_str()) };
            let Some((name, kind)) = name.and_then(|name| Some((name, self.block_kind(name)?))) else { continue };
            channel_multiple *= if reduces { 2 } else { 1 };
            blocks.push(Block { index, name, kind, reduces, after_reduction, channel_multiple });
            after_reduction = reduces;
        }
        blocks
    }

    fn block_kind(&self, name: &str) -> Option<BlockKind<'_>> {
        let cell = self.cells.get(name).map(BlockKind::Searched);
        cell.or_else(|| self.residuals.get(name).map(BlockKind::Residual))
    }
}
