//! What a prediction favours: candidates, and children that cost more (Ning et al., NeurIPS 2021).

use crate::network::{Model, Network, NetworkSize, Sharing};
use crate::plan::Graph;
use crate::rank::{Ranking, averaged, spearman};
use crate::space::{Child, Space};
use crate::tables::Joined;
use crate::tensor::Shape;
use rayon::prelude::*;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Images that FLOPs are counted for; the order of the children hardly depends on them.
const IMAGE: Shape = Shape::new(32, 32, 3);

/// Of the last record of a prediction, averaged over its runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BiasResults {
    pub by_candidates: Vec<CandidateBias>,
    /// Spearman's rho of a child's FLOPs and of how many ranks too high it is predicted.
    pub complexity: Option<f64>,
}

/// Two candidates, over all pairs of children that differ in these alone, on one edge.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CandidateBias {
    pub candidate: String,
    pub other: String,
    pub pairs: u64,
    /// Share of the pairs in which the child with `candidate` is truly better; a tie counts half.
    pub better_by_truth: f64,
    pub better_by_prediction: f64,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    pairs: u64,
    /// Twice the wins, so that a tie counts one.
    by_truth: u64,
    by_prediction: u64,
}

/// Compares the last record of the prediction, averaged over its runs, with the truth. `None` unless the children were read by a space.
pub fn bias(joined: &Joined, space: Option<&Space>) -> Option<BiasResults> {
    let space = space?;
    let children: Vec<&Child> = joined.children.iter().map(|name| name.child.as_ref()).collect::<Option<_>>()?;
    let last: Vec<Vec<f64>> = joined.runs.iter().filter_map(|run| run.records.last().cloned()).collect();
    let predicted = averaged(&last);
    Some(BiasResults {
        by_candidates: by_candidates(space, &children, &joined.truth, &predicted),
        complexity: complexity(space, &children, &joined.truth, &predicted),
    })
}

fn by_candidates(space: &Space, children: &[&Child], truth: &[f64], predicted: &[f64]) -> Vec<CandidateBias> {
    let places: HashMap<&Child, usize> = children.iter().enumerate().map(|(place, child)| (*child, place)).collect();
    let candidates = space.choice_candidates();
    let mut tallies: BTreeMap<[&str; 2], Tally> = BTreeMap::new();
    for (place, child) in children.iter().enumerate() {
        for (edge, names) in candidates.iter().enumerate() {
            let own = usize::from(child.0[edge]);
            let mut neighbor = (*child).clone();
            for other in own + 1..names.len() {
                neighbor.0[edge] = other as u8;
                let Some(&second) = places.get(&neighbor) else { continue };
                let tally = tallies.entry([&names[own], &names[other]]).or_default();
                tally.pairs += 1;
                tally.by_truth += doubled_win(truth[place], truth[second]);
                tally.by_prediction += doubled_win(predicted[place], predicted[second]);
            }
        }
    }
    let share = |wins: u64, pairs: u64| wins as f64 / (2 * pairs) as f64;
    tallies
        .into_iter()
        .map(|([candidate, other], tally)| CandidateBias {
            candidate: candidate.to_owned(),
            other: other.to_owned(),
            pairs: tally.pairs,
            better_by_truth: share(tally.by_truth, tally.pairs),
            better_by_prediction: share(tally.by_prediction, tally.pairs),
        })
        .collect()
}

/// 2 if the first is larger, 1 for a tie.
fn doubled_win(first: f64, second: f64) -> u64 {
    u64::from(first > second) + u64::from(first >= second)
}

fn complexity(space: &Space, children: &[&Child], truth: &[f64], predicted: &[f64]) -> Option<f64> {
    let defaults = space.defaults;
    let size =
        NetworkSize { input: IMAGE, channels: defaults.channels, cells: defaults.cells, classes: defaults.classes };
    let model = Model::new(Network::build(space, size).ok()?, Sharing::All, &[]);
    let flops = |child: &&Child| {
        let graph = Graph::of_children(&model, std::slice::from_ref(*child)).pruned(false);
        graph.forward_cost(size_of::<f32>() as u64).flops as f64
    };
    let flops: Vec<f64> = children.par_iter().map(flops).collect();
    let [truth, predicted] = [truth, predicted].map(|values| Ranking::of(values).average_ranks());
    let too_high: Vec<f64> = predicted.iter().zip(&truth).map(|(predicted, truth)| predicted - truth).collect();
    spearman(&Ranking::of(&flops), &Ranking::of(&too_high))
}
