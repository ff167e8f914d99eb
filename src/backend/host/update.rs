//! The update of one replica: which of its parameters a step moves.

use crate::backend::unsampled::started_but_unused;
use crate::network::{Model, ParameterRef, State};
use crate::ops::sgd::{Sgd, Unsampled};
use crate::tensor::Real;

/// Gradients of the copies that a step used, in ascending order.
pub type Gradients<T> = Vec<(ParameterRef, Vec<T>)>;

/// Moves every copy that has a gradient, and under `decay` the other shared ones that have had one.
pub fn update<T: Real>(sgd: &Sgd, model: &Model, state: &mut State<T>, mut gradients: Gradients<T>, rate: f64) {
    clip(sgd, &mut gradients);
    for (reference, gradient) in &gradients {
        move_copy(sgd, model, state, *reference, Some(gradient), rate);
    }
    if sgd.unsampled == Unsampled::Decay {
        let is_used = |reference| gradients.binary_search_by_key(&reference, |(used, _)| *used).is_ok();
        for reference in started_but_unused(model, &state.started, is_used) {
            move_copy(sgd, model, state, reference, None, rate);
        }
    }
}

fn move_copy<T: Real>(
    sgd: &Sgd,
    model: &Model,
    state: &mut State<T>,
    reference: ParameterRef,
    gradient: Option<&[T]>,
    rate: f64,
) {
    let number = model.layout.number(reference);
    let first = !std::mem::replace(&mut state.started[number], true);
    let range = model.layout.range(reference.parameter, reference.copy);
    let weights = &mut state.weights.values[range.clone()];
    sgd.update(weights, &mut state.momentum.values[range], gradient, first, rate);
}

/// Scales all gradients together.
fn clip<T: Real>(sgd: &Sgd, gradients: &mut Gradients<T>) {
    if sgd.clip_norm.is_none() {
        return;
    }
    let squares = gradients.iter().flat_map(|(_, gradient)| gradient).map(|g| g.to_f64() * g.to_f64());
    let factor = sgd.clip_factor(squares.sum::<f64>().sqrt());
    if factor < 1.0 {
        let factor = T::from_f64(factor);
        gradients.iter_mut().flat_map(|(_, gradient)| gradient).for_each(|g| *g = *g * factor);
    }
}
