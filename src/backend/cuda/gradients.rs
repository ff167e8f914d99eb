//! The gradients of a step: which lanes of which waves add to which parameters.

use super::lane_program::LaneGradient;
use super::update::Update;
use crate::device::Pointer;
use crate::network::ParameterRef;
use crate::ops::cuda::reduction::{Gradient, Term};

/// A copy of a parameter in a replica of the step.
pub type Target = (usize, ParameterRef);

/// What a step's gradients are the sums of, wave by wave: of each copy that a lane uses, ascending.
pub struct Spread {
    targets: Vec<(Target, Span)>,
}

/// First and last wave whose lanes use a copy, and the copy's length.
struct Span {
    first: usize,
    last: usize,
    len: usize,
}

impl Spread {
    /// Of lanes: wave, replica, and gradients. Waves come in order.
    pub fn new<'a>(lanes: impl Iterator<Item = (usize, usize, &'a [LaneGradient])>) -> Self {
        let mut uses: Vec<(Target, Span)> = lanes
            .flat_map(|(wave, replica, gradients)| {
                let span = move |len| Span { first: wave, last: wave, len };
                gradients.iter().map(move |gradient| ((replica, gradient.parameter), span(gradient.len)))
            })
            .collect();
        // Lanes are sorted already.
        uses.sort_by_key(|(target, _)| *target);
        uses.dedup_by(|(target, next), (known, span)| {
            let same = target == known;
            if same {
                span.last = next.last;
            }
            same
        });
        Self { targets: uses }
    }

    fn span(&self, target: &Target) -> &Span {
        let found = self.targets.binary_search_by_key(target, |(target, _)| *target);
        &self.targets[found.expect("a lane uses it")].1
    }

    fn of_replica(&self, replica: usize) -> &[(Target, Span)] {
        let first = |replica: usize| self.targets.partition_point(|((of, _), _)| *of < replica);
        &self.targets[first(replica)..first(replica + 1)]
    }

    /// Elements of all copies that a replica's lanes use.
    pub fn lens(&self, replica: usize) -> impl Iterator<Item = usize> {
        self.of_replica(replica).iter().map(|(_, span)| span.len)
    }

    /// Copies that a replica's lanes use, ascending.
    pub fn used(&self, replica: usize) -> Vec<ParameterRef> {
        self.of_replica(replica).iter().map(|((_, parameter), _)| *parameter).collect()
    }
}

/// The terms of each gradient that the lanes of a wave add to.
pub struct WaveGradients<T> {
    /// By lane.
    terms: Vec<(Target, usize, Option<T>)>,
}

impl<T> Default for WaveGradients<T> {
    fn default() -> Self {
        Self { terms: Vec::new() }
    }
}

impl<T: Copy> WaveGradients<T> {
    /// Adds a lane; `term`: of a gradient, none where it is zero.
    pub fn add(&mut self, replica: usize, gradients: &[LaneGradient], term: impl Fn(&LaneGradient) -> Option<T>) {
        let of = |gradient: &LaneGradient| ((replica, gradient.parameter), gradient.len, term(gradient));
        self.terms.extend(gradients.iter().map(of));
    }

    /// Of each target, ascending, its length and its terms in the order of the lanes.
    pub fn by_target(mut self) -> Vec<(Target, usize, Vec<T>)> {
        // Lanes are sorted already.
        self.terms.sort_by_key(|(target, ..)| *target);
        let targets = self.terms.chunk_by(|a, b| a.0 == b.0);
        targets.map(|terms| (terms[0].0, terms[0].1, terms.iter().filter_map(|(.., term)| *term).collect())).collect()
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
    let entries = (gradients.by_target().into_iter())
        .map(|(target, len, terms)| {
            let span = spread.span(&target);
            let entry = Gradient {
                to: place(&target),
                first: all_terms.len() as u32,
                terms: terms.len() as u32,
                len: len as u32,
                accumulate: (span.first != wave).into(),
                scale: if span.last == wave { updates[target.0].share as f32 } else { 1.0 },
                unused: 0,
            };
            all_terms.extend(terms);
            entry
        })
        .collect();
    (entries, all_terms)
}
