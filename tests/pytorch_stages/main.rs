//! Single stages against PyTorch's numbers: forward, statistics, normalization and every gradient, in the f64 reference and in the CPU
//! kernels of every instruction set.

mod case;
#[path = "../common/mod.rs"]
mod common;
mod cpu;
mod reference;

use case::{Found, Given, Stages};
use common::goldens::{Golden, assert_close};
use crosstalk::simd::Level;
use crosstalk::tensors::Tensor;
use std::collections::BTreeMap;

/// f64 against f64.
const REFERENCE_TOLERANCE: f64 = 1e-9;
/// f32 against f64, away from ties.
const CPU_TOLERANCE: f64 = 1e-5;

/// Runs every case of the table and compares all that it computed.
fn check(label: &str, tolerance: f64, run: impl Fn(&Given) -> Found) {
    let golden: Golden<Stages> = Golden::read("stages");
    assert_eq!(golden.description.cases.len(), 35);
    let mut worst = 0.0_f64;
    for case in &golden.description.cases {
        let given = Given { case, golden: &golden };
        let mut expected = golden.under(&format!("{}/", case.name));
        expected.retain(|name, _| !is_given(name));
        if case.is_image() {
            expected.remove("input_gradient.0");
        }
        // The floor of small gradients is measured by all gradients of the stage, not by its values.
        let found = by_part(run(&given).0);
        for (part, (found, expected)) in
            ["gradients", "values"].into_iter().zip(found.into_iter().zip(by_part(expected)))
        {
            let label = format!("{label}, {}, {part}", case.name);
            worst = worst.max(assert_close(&label, found, expected, tolerance));
        }
    }
    println!("{label}: largest error {worst:.1e}");
}

/// Gradients, and the rest.
fn by_part(tensors: BTreeMap<String, Tensor>) -> [BTreeMap<String, Tensor>; 2] {
    tensors.into_iter().partition(|(name, _)| name.contains("_gradient")).into()
}

/// Whether a golden tensor is given, not expected.
fn is_given(name: &str) -> bool {
    let base = name.split('.').next().unwrap_or(name);
    let given = "input input_gamma input_beta weight gamma beta gate bias labels output_gradient";
    given.split(' ').any(|known| known == base)
}

#[test]
fn the_reference_agrees_with_pytorch_on_every_stage() {
    check("reference", REFERENCE_TOLERANCE, reference::run);
}

#[test]
fn the_cpu_kernels_of_every_level_agree_with_pytorch_on_every_stage() {
    for level in Level::available() {
        check(&level.to_string(), CPU_TOLERANCE, |given| cpu::run(level, given));
    }
}
