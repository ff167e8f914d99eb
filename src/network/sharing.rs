//! Sharing policies: which copy of a parameter a child of a replica trains.

use super::{Network, ParameterId, Place};
use crate::space::Child;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A function (parameter, child) -> copy, inside one replica. The weight, momentum and buffers of a copy go together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sharing {
    /// One copy for all children: the usual supernet.
    #[default]
    All,
    /// Every child has its own copy of everything.
    None,
    /// The stem and the first k cells are shared, everything after is private to a child.
    Prefix(usize),
}

/// The copies of every parameter of one replica.
#[derive(Clone, Debug)]
pub struct Copies {
    /// Position of every child, where any parameter is private.
    position: HashMap<Child, usize>,
    children: Vec<Child>,
    /// For every parameter: the copy of every child (`None` where the child does not use it); empty = one copy for all.
    of_child: Vec<Vec<Option<u32>>>,
    counts: Vec<u32>,
}

impl Sharing {
    fn is_private(self, place: Place) -> bool {
        match self {
            Self::All => false,
            Self::None => true,
            Self::Prefix(cells) => match place {
                Place::Stem => false,
                Place::Cell(cell) => cell >= cells,
                Place::Head => true,
            },
        }
    }

    /// The copies that `children` of one replica need. A private parameter has one copy for each child that uses it, in the
    /// children's order, and one (never trained) where none does.
    pub fn copies(self, network: &Network, children: &[Child]) -> Copies {
        let mut of_child = Vec::with_capacity(network.parameters.len());
        let mut counts = Vec::with_capacity(network.parameters.len());
        for (id, parameter) in network.parameters.iter().enumerate() {
            if !self.is_private(parameter.place) {
                of_child.push(Vec::new());
                counts.push(1);
                continue;
            }
            let mut count = 0;
            let copies = children
                .iter()
                .map(|child| {
                    network.uses(child, id).then(|| {
                        count += 1;
                        count - 1
                    })
                })
                .collect();
            of_child.push(copies);
            counts.push(count.max(1));
        }
        let private = of_child.iter().any(|copies| !copies.is_empty());
        let children = if private { children.to_vec() } else { Vec::new() };
        let position = children.iter().enumerate().map(|(index, child)| (child.clone(), index)).collect();
        Copies { position, children, of_child, counts }
    }
}

impl Copies {
    /// Number of copies of a parameter.
    pub fn count(&self, parameter: ParameterId) -> u32 {
        self.counts[parameter]
    }

    /// Whether every parameter has a copy for this child.
    pub fn holds(&self, child: &Child) -> bool {
        self.children.is_empty() || self.position.contains_key(child)
    }

    /// The copy that a child trains.
    ///
    /// # Panics
    /// If the child does not use the parameter or is not held.
    pub fn of(&self, parameter: ParameterId, child: &Child) -> u32 {
        let copies = &self.of_child[parameter];
        if copies.is_empty() { 0 } else { copies[self.position[child]].expect("the child uses the parameter") }
    }

    /// The child that alone trains the copy, or `None` where all do.
    pub fn owner(&self, parameter: ParameterId, copy: u32) -> Option<&Child> {
        let position = self.of_child[parameter].iter().position(|c| *c == Some(copy))?;
        Some(&self.children[position])
    }

    /// Whether the parameter is shared by all children.
    pub fn is_shared(&self, parameter: ParameterId) -> bool {
        self.of_child[parameter].is_empty()
    }
}
