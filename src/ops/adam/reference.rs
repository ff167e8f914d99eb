//! The formula in f64.

use super::{Adam, Correction, Parameter};

/// `g += weight_decay * w`; `m += (1 - b1) * (g - m)`; `v = b2 * v + (1 - b2) * g^2`;
/// `w -= rate / (1 - b1^n) * m / (sqrt(v) / sqrt(1 - b2^n) + epsilon)`. `update` is n, from 1.
///
/// # Panics
/// If the slices differ in length.
pub fn update(adam: &Adam, parameter: Parameter<f64>, rate: f64, update: u64) {
    parameter.check();
    let Correction { step_size, second_root } = adam.correction(rate, update);
    let Parameter { values, gradient, first, second } = parameter;
    for (((w, gradient), m), v) in values.iter_mut().zip(gradient).zip(first).zip(second) {
        let g = gradient + adam.weight_decay * *w;
        *m += (1.0 - adam.first_decay) * (g - *m);
        *v = adam.second_decay * *v + (1.0 - adam.second_decay) * g * g;
        *w -= step_size * *m / (v.sqrt() / second_root + adam.epsilon);
    }
}
