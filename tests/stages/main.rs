//! Single stages: forward, statistics, normalization and every gradient. The reference in f64 against PyTorch's numbers, and the CPU kernels of every
//! instruction set against both, over the table of cases; the CUDA kernels, run by the emulator, against the reference.

mod case;
mod channels;
#[path = "../common/mod.rs"]
mod common;
mod cpu;
#[cfg(unix)]
mod cuda;
mod found;
mod given;
mod reference;

use case::Case;
use common::goldens::{Golden, assert_close};
use crosstalk::simd::Level;
use crosstalk::tensors::Tensor;
use given::Given;
use std::collections::{BTreeMap, HashSet};

/// f64 against f64.
const REFERENCE_TOLERANCE: f64 = 1e-9;
/// f32 against f64, away from ties.
const CPU_TOLERANCE: f64 = 1e-5;

type Tensors = BTreeMap<String, Tensor>;

/// Gradients, and the rest: the floor of small gradients is measured by all gradients of the stage, not by its values.
fn by_part(tensors: Tensors) -> [Tensors; 2] {
    tensors.into_iter().partition(|(name, _)| name.contains("_gradient")).into()
}

fn compare(label: &str, found: Tensors, expected: Tensors, tolerance: f64) -> f64 {
    let parts = ["gradients", "values"].into_iter().zip(by_part(found).into_iter().zip(by_part(expected)));
    let errors =
        parts.map(|(part, (found, expected))| assert_close(&format!("{label}, {part}"), found, expected, tolerance));
    errors.fold(0.0, f64::max)
}

/// Runs every case that PyTorch computed and compares all that it left.
fn check_against_pytorch(label: &str, tolerance: f64, run: impl Fn(&Given) -> Tensors) {
    let golden = Golden::tensors("stages");
    let cases: Vec<Case> = case::table().into_iter().filter(|case| case.pytorch).collect();
    let names: HashSet<&str> = golden.names().filter_map(|name| name.split('/').next()).collect();
    assert_eq!(names, cases.iter().map(|case| case.name.as_str()).collect(), "the golden cases are those of the table");
    let mut worst = 0.0_f64;
    for case in &cases {
        let (tensors, mut expected) =
            golden.under(&format!("{case}/")).into_iter().partition(|(name, _)| is_given(name));
        let given = Given { case, tensors };
        if case.image {
            expected.remove("input_gradient.0");
        }
        worst = worst.max(compare(&format!("{label}, {case}"), run(&given), expected, tolerance));
    }
    println!("{label}: largest error {worst:.1e}");
}

/// Whether a golden tensor is given, not expected.
fn is_given(name: &str) -> bool {
    let base = name.split('.').next().unwrap_or(name);
    let given = "input input_gamma input_beta weight gamma beta gate bias labels output_gradient";
    given.split(' ').any(|known| known == base)
}

#[test]
fn the_reference_agrees_with_pytorch_on_every_stage() {
    check_against_pytorch("reference", REFERENCE_TOLERANCE, |given| reference::run(given, false).0);
}

#[test]
fn the_cpu_kernels_of_every_level_agree_with_pytorch_on_every_stage() {
    for level in Level::available() {
        check_against_pytorch(&level.to_string(), CPU_TOLERANCE, |given| cpu::run(level, given, false).0);
    }
}

#[test]
fn the_cpu_kernels_of_every_level_agree_with_the_reference_on_every_stage() {
    let mut worst = 0.0_f64;
    for case in &case::table() {
        let given = Given::drawn(case);
        for accumulate in [false, true] {
            let expected = reference::run(&given, accumulate).0;
            for level in Level::available() {
                let label = format!("{level}, {case}, accumulating {accumulate}");
                let found = cpu::run(level, &given, accumulate).0;
                worst = worst.max(compare(&label, found, expected.clone(), CPU_TOLERANCE));
            }
        }
    }
    println!("largest error {worst:.1e}");
}

#[test]
fn an_image_has_the_same_bits_in_every_chunk() {
    for case in &case::table() {
        let given = Given::drawn(case);
        for level in Level::available() {
            let mut stage = cpu::prepare(level, &given);
            let together = stage.output().to_vec();
            assert!(together.iter().all(|value| value.is_finite()));
            (0..case.batch).for_each(|image| stage.forward(image..image + 1));
            assert_eq!(stage.output(), together, "{level}, {case}");
        }
    }
}

#[test]
fn names_of_cases_are_unique() {
    let cases = case::table();
    let names: HashSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len());
}
