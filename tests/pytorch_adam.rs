//! Adam against PyTorch's: the reference in f64, the CPU kernel in f32 on every instruction set.

mod common;

use common::goldens::Golden;
use crosstalk::ops::adam::{Adam, Parameter, cpu, reference};
use crosstalk::simd::Level;
use crosstalk::tensor::Real;
use serde::Deserialize;

#[derive(Deserialize)]
struct Description {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    learning_rate: f64,
    betas: [f64; 2],
    epsilon: f64,
    weight_decay: f64,
    used: Vec<bool>,
}

/// One update: options, parameter, rate, number of the update.
type Update<'a, T> = &'a dyn Fn(&Adam, Parameter<T>, f64, u64);

/// Repeats a case; the values after every step and the moments after the last stay within `tolerance`.
fn repeat<T: Real>(golden: &Golden<Description>, case: &Case, update: Update<T>, tolerance: f64) {
    let tensor = |name: &str| golden.values::<T>(&format!("{}/{name}", case.name));
    let expected = |name: &str| golden.values::<f64>(&format!("{}/{name}", case.name));
    let [first_decay, second_decay] = case.betas;
    let adam = Adam { first_decay, second_decay, epsilon: case.epsilon, weight_decay: case.weight_decay };
    let mut values = tensor("initial");
    let (mut first, mut second) = (vec![T::default(); values.len()], vec![T::default(); values.len()]);
    let (gradients, after) = (tensor("gradients"), expected("values"));
    let mut updates = 0;
    for (step, &used) in case.used.iter().enumerate() {
        let of_step = step * values.len()..(step + 1) * values.len();
        if used {
            updates += 1;
            let gradient = &gradients[of_step.clone()];
            let parameter = Parameter { values: &mut values, gradient, first: &mut first, second: &mut second };
            update(&adam, parameter, case.learning_rate, updates);
        }
        assert_close(&format!("{} after step {step}", case.name), &values, &after[of_step], tolerance);
    }
    assert_close(&format!("{}: first moment", case.name), &first, &expected("first"), tolerance);
    assert_close(&format!("{}: second moment", case.name), &second, &expected("second"), tolerance);
}

fn assert_close<T: Real>(what: &str, found: &[T], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(a, b)| a.to_f64() - b));
    let error = difference / norm(&mut expected.iter().copied());
    assert!(error <= tolerance, "{what}: {error:e}");
}

#[test]
fn the_reference_updates_as_pytorch_does() {
    let golden: Golden<Description> = Golden::read("adam");
    for case in &golden.description.cases {
        repeat::<f64>(
            &golden,
            case,
            &|adam, parameter, rate, update| reference::update(adam, parameter, rate, update),
            1e-12,
        );
    }
}

#[test]
fn the_cpu_kernel_updates_as_pytorch_does_on_every_instruction_set() {
    let golden: Golden<Description> = Golden::read("adam");
    for level in Level::available() {
        for case in &golden.description.cases {
            let update = |adam: &Adam, parameter: Parameter<f32>, rate, update| {
                cpu::update(level, adam, parameter, rate, update)
            };
            repeat::<f32>(&golden, case, &update, 2e-6);
        }
    }
}
