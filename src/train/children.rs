//! Which children a step trains: a pure function of the seed and the step.

use super::TrainError;
use super::config::{ChildOrder, StepChildren, StepConfig};
use crate::rng::{Purpose, Stream};
use crate::space::{Child, Space};

/// Children that a cycle or a private policy may list at most.
const MOST_LISTED: u128 = 1 << 20;

enum Rule {
    /// `lanes` children a step, one after the other.
    Cycle {
        children: Vec<Child>,
        lanes: usize,
        reshuffled: bool,
    },
    /// Uniform draws from a list.
    UniformOf {
        children: Vec<Child>,
        lanes: usize,
    },
    /// Uniform draws from the whole space.
    Uniform {
        lanes: usize,
        redraw_zero_nodes: bool,
    },
    Fair {
        edges: usize,
        candidates: usize,
    },
    /// One lane of all candidates, no child.
    Mixture,
}

/// The children of every step of one replica.
pub struct ChildSchedule {
    rule: Rule,
    seed: u64,
}

/// The listed children, each of the space and none twice; `None` where the configuration lists none.
pub fn listed(space: &Space, step: &StepConfig) -> Result<Option<Vec<Child>>, TrainError> {
    match &step.order {
        ChildOrder::List(names) => {
            Ok(Some(names.iter().map(|name| space.parse_child(name)).collect::<Result<_, _>>()?))
        }
        _ => Ok(None),
    }
}

/// All children of a space that is small enough to list them.
pub fn all(space: &Space, what: &'static str) -> Result<Vec<Child>, TrainError> {
    let count = space.child_count();
    if count > MOST_LISTED {
        return Err(TrainError::TooManyChildren { what, count, most: MOST_LISTED });
    }
    Ok(space.enumerate().collect())
}

impl ChildSchedule {
    /// # Errors
    /// A child that the space lacks, a space too large to cycle through, uneven edges under `fair`.
    pub fn new(space: &Space, step: &StepConfig, seed: u64) -> Result<Self, TrainError> {
        let lanes = step.lanes.unwrap_or(1);
        let listed = listed(space, step)?;
        let rule = match (step.children, listed) {
            (StepChildren::Cycle, Some(children)) => Rule::Cycle { children, lanes, reshuffled: false },
            (StepChildren::Cycle, None) => {
                let mut children = all(space, "a cycle")?;
                if step.order == ChildOrder::Permutation {
                    children = permuted(&children, seed, 0);
                }
                Rule::Cycle { children, lanes, reshuffled: step.order == ChildOrder::Reshuffled }
            }
            (StepChildren::Uniform, Some(children)) => Rule::UniformOf { children, lanes },
            (StepChildren::Uniform, None) => Rule::Uniform { lanes, redraw_zero_nodes: step.redraw_zero_nodes },
            (StepChildren::Fair, _) => {
                let counts = space.choices();
                let candidates = counts.first().copied().unwrap_or(0);
                if counts.iter().any(|count| *count != candidates) {
                    return Err(TrainError::UnevenCandidates { counts });
                }
                Rule::Fair { edges: counts.len(), candidates }
            }
            (StepChildren::Mixture, _) => Rule::Mixture,
        };
        Ok(Self { rule, seed })
    }

    /// Lanes of a step.
    pub fn lanes(&self) -> usize {
        match &self.rule {
            Rule::Cycle { lanes, .. } | Rule::UniformOf { lanes, .. } | Rule::Uniform { lanes, .. } => *lanes,
            Rule::Fair { candidates, .. } => *candidates,
            Rule::Mixture => 1,
        }
    }

    /// The children of a step, lane by lane; none for a mixture.
    pub fn children(&self, space: &Space, step: u64) -> Vec<Child> {
        match &self.rule {
            Rule::Cycle { children, lanes, reshuffled } => {
                let count = children.len() as u64;
                (0..*lanes as u64)
                    .map(|lane| {
                        let position = step * *lanes as u64 + lane;
                        let index = (position % count) as usize;
                        if *reshuffled {
                            permuted(children, self.seed, position / count)[index].clone()
                        } else {
                            children[index].clone()
                        }
                    })
                    .collect()
            }
            Rule::UniformOf { children, lanes } => (0..*lanes)
                .map(|lane| {
                    let mut stream = Stream::new(self.seed, Purpose::Children, step, lane as u32);
                    children[stream.bounded(children.len() as u32) as usize].clone()
                })
                .collect(),
            Rule::Uniform { lanes, redraw_zero_nodes } => (0..*lanes)
                .map(|lane| {
                    let mut stream = Stream::new(self.seed, Purpose::Children, step, lane as u32);
                    let mut draw = |bound| stream.bounded(bound);
                    if *redraw_zero_nodes { space.sample_nodes(&mut draw) } else { space.sample(&mut draw) }
                })
                .collect(),
            Rule::Fair { edges, candidates } => {
                let orders: Vec<Vec<u32>> = (0..*edges)
                    .map(|edge| {
                        Stream::new(self.seed, Purpose::Children, step, edge as u32).permutation(*candidates as u32)
                    })
                    .collect();
                (0..*candidates).map(|lane| Child(orders.iter().map(|order| order[lane] as u8).collect())).collect()
            }
            Rule::Mixture => Vec::new(),
        }
    }
}

fn permuted(children: &[Child], seed: u64, round: u64) -> Vec<Child> {
    let order = Stream::new(seed, Purpose::ChildOrder, round, 0).permutation(children.len() as u32);
    order.into_iter().map(|index| children[index as usize].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(text: &str) -> (Space, ChildSchedule) {
        let space = Space::built_in("zhang64").expect("a built-in space");
        let step: StepConfig = toml::from_str(text).expect("a step");
        let schedule = ChildSchedule::new(&space, &step, 5).expect("a schedule");
        (space, schedule)
    }

    #[test]
    fn a_cycle_counts_through_the_space() {
        let (space, schedule) = schedule("");
        let name = |step| space.format_child(&schedule.children(&space, step)[0]);
        assert_eq!([name(0), name(1), name(4), name(63), name(64)], ["111", "112", "121", "444", "111"]);
    }

    #[test]
    fn a_reshuffled_round_has_every_child_once_in_an_order_of_its_own() {
        let (space, schedule) = schedule("order = \"reshuffled\"");
        let round = |round: u64| -> Vec<Child> {
            (0..64).map(|step| schedule.children(&space, round * 64 + step).remove(0)).collect()
        };
        let (first, second) = (round(0), round(1));
        assert_ne!(first, second);
        let mut sorted = second;
        sorted.sort();
        assert_eq!(sorted, space.enumerate().collect::<Vec<_>>());
    }

    #[test]
    fn a_fair_step_takes_every_candidate_of_every_edge_once() {
        let (space, schedule) = schedule("children = \"fair\"");
        for step in 0..20 {
            let children = schedule.children(&space, step);
            assert_eq!(children.len(), 4);
            for edge in 0..3 {
                let mut taken: Vec<u8> = children.iter().map(|child| child.0[edge]).collect();
                taken.sort_unstable();
                assert_eq!(taken, [0, 1, 2, 3]);
            }
        }
    }

    #[test]
    fn draws_with_redrawn_nodes_have_no_zero_node_and_miss_no_other_child() {
        let space = Space::built_in("nasbench201").expect("a built-in space");
        let zero_node =
            |child: &Child| [0..1, 1..3, 3..6].into_iter().any(|node| child.0[node].iter().all(|c| *c == 0));
        let drawn = |text: &str| {
            let step: StepConfig = toml::from_str(text).expect("a step");
            let schedule = ChildSchedule::new(&space, &step, 5).expect("a schedule");
            (0..2000).flat_map(|step| schedule.children(&space, step)).collect::<Vec<Child>>()
        };
        let plain = drawn("children = \"uniform\"\nlanes = 8");
        let redrawn = drawn("children = \"uniform\"\nlanes = 8\nredraw_zero_nodes = true");
        // 1 - 4/5 * 24/25 * 124/125 = 0.238 of uniform draws; standard deviation 54.
        let zero = plain.iter().filter(|child| zero_node(child)).count();
        assert!((3540..4080).contains(&zero), "{zero}");
        assert!(!redrawn.iter().any(zero_node));
        let candidates = (0..5).map(|candidate| redrawn.iter().filter(|child| child.0[0] == candidate).count());
        let counts: Vec<usize> = candidates.collect();
        assert!(counts[0] == 0 && counts[1..].iter().all(|count| (3750..4250).contains(count)), "{counts:?}");
    }

    #[test]
    fn uniform_draws_reach_every_child_about_equally_often() {
        let (space, schedule) = schedule("children = \"uniform\"\nlanes = 8");
        let mut counts = [0; 64];
        for step in 0..800 {
            for child in schedule.children(&space, step) {
                counts[space.index_of(&child) as usize] += 1;
            }
        }
        // 100 expected, standard deviation 10.
        assert!(counts.iter().all(|count| (50..150).contains(count)), "{counts:?}");
    }
}
