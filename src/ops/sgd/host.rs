//! The update in host memory, for both precisions.

use super::{Sgd, Unsampled};
use crate::network::{Model, State};
use crate::plan::ParameterRef;
use crate::tensor::Real;

/// Gradients of the copies that a step used, in ascending order.
pub type Gradients<T> = Vec<(ParameterRef, Vec<T>)>;

impl Sgd {
    /// `g += weight_decay * w`; first update `m = g`, then `m = momentum * m + g`; `w -= rate * m`, with Nesterov
    /// `w -= rate * (g + momentum * m)`.
    pub fn update<T: Real>(&self, model: &Model, state: &mut State<T>, mut gradients: Gradients<T>, rate: f64) {
        if let Some(limit) = self.clip_norm {
            clip(&mut gradients, limit);
        }
        for (reference, gradient) in &gradients {
            self.move_copy(model, state, *reference, Some(gradient), rate);
        }
        if self.unsampled == Unsampled::Decay {
            self.decay_unsampled(model, state, &gradients, rate);
        }
    }

    /// Moves every started parameter with gradient zero.
    fn decay_unsampled<T: Real>(&self, model: &Model, state: &mut State<T>, used: &Gradients<T>, rate: f64) {
        let is_used = |reference| used.binary_search_by_key(&reference, |(used, _)| *used).is_ok();
        for reference in super::started_but_unused(model, &state.started, is_used) {
            self.move_copy(model, state, reference, None, rate);
        }
    }

    fn move_copy<T: Real>(
        &self,
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
        let momenta = &mut state.momentum.values[range];
        let [rate, decay] = [rate, self.weight_decay].map(T::from_f64);
        let momentum = T::from_f64(if first { 0.0 } else { self.momentum });
        let ahead = T::from_f64(self.momentum);
        for (index, (w, m)) in weights.iter_mut().zip(momenta).enumerate() {
            let g = gradient.map_or(T::default(), |gradient| gradient[index]) + decay * *w;
            *m = momentum * *m + g;
            let step = if self.nesterov { g + ahead * *m } else { *m };
            *w = *w - rate * step;
        }
    }
}

/// Scales all gradients by [`super::clip_factor`].
fn clip<T: Real>(gradients: &mut Gradients<T>, limit: f64) {
    let squares = gradients.iter().flat_map(|(_, gradient)| gradient).map(|g| g.to_f64() * g.to_f64());
    let norm = squares.sum::<f64>().sqrt();
    let factor = super::clip_factor(limit, norm);
    if factor < 1.0 {
        let factor = T::from_f64(factor);
        gradients.iter_mut().flat_map(|(_, gradient)| gradient).for_each(|g| *g = *g * factor);
    }
}
