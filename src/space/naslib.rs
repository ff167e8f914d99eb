//! Children of NAS-Bench-201 as NASLib lists them: one number an edge, edges and candidates in an order of its own.

use super::child::Child;
use super::model::Space;

/// (source, target) in NASLib's order.
const EDGES: [(usize, usize); 6] = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)];

/// The candidate that each of NASLib's numbers means.
const CANDIDATES: [&str; 5] = ["skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3"];

/// Where NASLib's numbering stands in ours.
struct Places {
    /// Our edge, for each of NASLib's.
    edges: Vec<usize>,
    /// Our candidate, for each of NASLib's.
    candidates: Vec<u8>,
}

impl Space {
    /// None where the space is not NAS-Bench-201's, or every cell chooses for itself.
    fn naslib_places(&self) -> Option<Places> {
        let cells = self.searched_cells();
        let [(_, cell)] = cells.as_slice() else { return None };
        let list = cell.edge_list();
        let edges = EDGES.iter().map(|edge| list.iter().position(|own| own == edge)).collect::<Option<Vec<_>>>()?;
        let position = |name: &&str| Some(cell.candidates.iter().position(|own| own == name)? as u8);
        let candidates = CANDIDATES.iter().map(position).collect::<Option<Vec<_>>>()?;
        (list.len() == EDGES.len() && cell.candidates.len() == CANDIDATES.len()).then_some(Places { edges, candidates })
    }

    /// The child as NASLib's `op_indices`; none in another space.
    pub fn to_naslib(&self, child: &Child) -> Option<Vec<u8>> {
        let Places { edges, candidates } = self.naslib_places()?;
        edges.iter().map(|edge| Some(candidates.iter().position(|own| *own == child.0[*edge])? as u8)).collect()
    }

    /// The child of NASLib's `op_indices`; none in another space, or where they are not six numbers below five.
    pub fn from_naslib(&self, indices: &[u8]) -> Option<Child> {
        let Places { edges, candidates } = self.naslib_places()?;
        let mut child = Child(vec![0; edges.len()]);
        if indices.len() != edges.len() {
            return None;
        }
        for (edge, index) in edges.into_iter().zip(indices) {
            child.0[edge] = *candidates.get(usize::from(*index))?;
        }
        Some(child)
    }
}
