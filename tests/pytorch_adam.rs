//! Adam against PyTorch's in f64.

mod common;

use common::goldens::Golden;
use crosstalk::ops::adam::{Adam, Parameter};
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

/// Repeats a case; the values after every step and the moments after the last stay within `tolerance`.
fn repeat(golden: &Golden<Description>, case: &Case, tolerance: f64) {
    let tensor = |name: &str| golden.values::<f64>(&format!("{}/{name}", case.name));
    let [first_decay, second_decay] = case.betas;
    let adam = Adam { first_decay, second_decay, epsilon: case.epsilon, weight_decay: case.weight_decay };
    let mut values = tensor("initial");
    let (mut first, mut second) = (vec![0.0; values.len()], vec![0.0; values.len()]);
    let (gradients, after) = (tensor("gradients"), tensor("values"));
    let mut updates = 0;
    for (step, &used) in case.used.iter().enumerate() {
        let of_step = step * values.len()..(step + 1) * values.len();
        if used {
            updates += 1;
            let gradient = &gradients[of_step.clone()];
            let parameter = Parameter { values: &mut values, gradient, first: &mut first, second: &mut second };
            adam.update(parameter, case.learning_rate, updates);
        }
        assert_close(&format!("{} after step {step}", case.name), &values, &after[of_step], tolerance);
    }
    assert_close(&format!("{}: first moment", case.name), &first, &tensor("first"), tolerance);
    assert_close(&format!("{}: second moment", case.name), &second, &tensor("second"), tolerance);
}

fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    let error = difference / norm(&mut expected.iter().copied());
    assert!(error <= tolerance, "{what}: {error:e}");
}

#[test]
fn adam_agrees_with_pytorch() {
    let golden: Golden<Description> = Golden::read("adam");
    assert!(!golden.description.cases.is_empty());
    for case in &golden.description.cases {
        repeat(&golden, case, 1e-12);
    }
}
