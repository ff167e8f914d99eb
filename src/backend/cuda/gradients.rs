//! The gradients of a step: which lanes of which waves add to which parameters.

use super::layout::LaneShape;
use super::update::Update;
use crate::backend::LanePlan;
use crate::device::Pointer;
use crate::network::ParameterRef;
use crate::ops::cuda::reduction::{Gradient, Term};
use std::collections::BTreeMap;

/// A copy of a parameter in a replica of the step.
pub type Target = (usize, ParameterRef);

/// What a step's gradients are the sums of, wave by wave.
#[derive(Default)]
pub struct Spread {
    targets: BTreeMap<Target, Span>,
}

/// First and last wave whose lanes use a copy, and the copy's length.
struct Span {
    first: usize,
    last: usize,
    len: usize,
}

impl Spread {
    /// Notes what a lane of a wave uses. Waves come in order.
    pub fn add(&mut self, wave: usize, replica: usize, plan: &LanePlan) {
        for parameter in &plan.parameters {
            let new = || Span { first: wave, last: wave, len: plan.row_range(*parameter).len() };
            self.targets.entry((replica, *parameter)).or_insert_with(new).last = wave;
        }
    }

    /// Elements of a copy that a replica's lanes use.
    pub fn len(&self, replica: usize, parameter: ParameterRef) -> usize {
        self.targets[&(replica, parameter)].len
    }

    /// Copies that a replica's lanes use, ascending.
    pub fn used(&self, replica: usize) -> Vec<ParameterRef> {
        let nowhere = ParameterRef { parameter: 0, copy: 0 };
        self.targets.range((replica, nowhere)..(replica + 1, nowhere)).map(|((_, parameter), _)| *parameter).collect()
    }

    fn is_first(&self, wave: usize, target: &Target) -> bool {
        self.targets[target].first == wave
    }

    fn is_last(&self, wave: usize, target: &Target) -> bool {
        self.targets[target].last == wave
    }
}

/// The terms of each gradient that the lanes of a wave add to, in the order of the lanes.
#[derive(Default)]
pub struct WaveGradients<T> {
    pub terms: BTreeMap<Target, (usize, Vec<T>)>,
}

impl<T> WaveGradients<T> {
    /// Adds a lane; `term`: of a parameter, none where its gradient is zero.
    pub fn add(&mut self, replica: usize, lane: &LaneShape<'_>, term: impl Fn(ParameterRef) -> Option<T>) {
        for &parameter in &lane.plan.parameters {
            let len = lane.plan.row_range(parameter).len();
            let (_, terms) = self.terms.entry((replica, parameter)).or_insert_with(|| (len, Vec::new()));
            terms.extend(term(parameter));
        }
    }
}

/// The gradients of a wave's lanes, added to what earlier waves left. `place`: where each goes.
pub fn gradients(
    wave: usize,
    spread: &Spread,
    gradients: WaveGradients<Term>,
    updates: &[Update],
    place: impl Fn(&Target) -> Pointer,
) -> (Vec<Gradient>, Vec<Term>) {
    let mut all_terms = Vec::new();
    let entries = (gradients.terms.into_iter())
        .map(|(target, (len, terms))| {
            let entry = Gradient {
                to: place(&target),
                first: all_terms.len() as u32,
                terms: terms.len() as u32,
                len: len as u32,
                accumulate: (!spread.is_first(wave, &target)).into(),
                scale: if spread.is_last(wave, &target) { updates[target.0].share as f32 } else { 1.0 },
                unused: 0,
            };
            all_terms.extend(terms);
            entry
        })
        .collect();
    (entries, all_terms)
}
