//! The tensors of architecture parameters: a number for every candidate of every edge.

use super::model::Space;
use super::template::expand;
use std::ops::Range;

/// Architecture parameters of some edges, `[edges, candidates]`, under the name of the official PyTorch code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlphaTensor {
    pub name: String,
    /// Choices of a child that its rows are for.
    pub slots: Range<usize>,
    pub candidates: usize,
}

impl Space {
    /// The tensors that together have a row for every choice of a child, in order. Where cells choose for themselves, a block's tensors are
    /// called `NAME@block-B`.
    pub fn alpha_tensors(&self) -> Vec<AlphaTensor> {
        let mut tensors = Vec::new();
        let mut first = 0;
        for (label, cell) in self.searched_cells() {
            let suffix =
                if self.untied_cells.is_some() { format!("@{}", label.replace(' ', "-")) } else { String::new() };
            let kind = self.cells.iter().find(|(_, other)| std::ptr::eq(*other, cell)).map_or("", |(name, _)| name);
            let name = cell.alphas.clone().unwrap_or_else(|| format!("alphas_{kind}"));
            let edges = cell.edge_list();
            let mut add = |name: String, count: usize| {
                tensors.push(AlphaTensor {
                    name: name + &suffix,
                    slots: first..first + count,
                    candidates: cell.candidates.len(),
                });
                first += count;
            };
            if name.contains("{node}") {
                for group in edges.chunk_by(|(_, target), (_, other)| target == other) {
                    add(expand(&name, &[("node", group[0].1 - cell.inputs.len())]), group.len());
                }
            } else {
                add(name, edges.len());
            }
        }
        tensors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(space: &Space) -> Vec<(String, Range<usize>, usize)> {
        space.alpha_tensors().into_iter().map(|tensor| (tensor.name, tensor.slots, tensor.candidates)).collect()
    }

    #[test]
    fn tensors_have_the_official_names_and_shapes() {
        let zhang64 = Space::built_in("zhang64").expect("a built-in space");
        assert_eq!(
            described(&zhang64),
            [("alpha_normal.0".to_owned(), 0..1, 4), ("alpha_normal.1".to_owned(), 1..3, 4)]
        );
        let nasbench201 = Space::built_in("nasbench201").expect("a built-in space");
        assert_eq!(described(&nasbench201), [("arch_parameters".to_owned(), 0..6, 5)]);
    }

    #[test]
    fn cells_that_choose_for_themselves_have_tensors_of_their_own() {
        let untied = Space::built_in("nasbench201").expect("a built-in space").untied(1);
        let names: Vec<String> = untied.alpha_tensors().into_iter().map(|tensor| tensor.name).collect();
        assert_eq!(names, ["arch_parameters@block-0", "arch_parameters@block-2", "arch_parameters@block-4"]);
        assert_eq!(untied.alpha_tensors()[2].slots, 12..18);
    }
}
