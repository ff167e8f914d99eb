//! Whole steps of the three spaces in bf16: every number that every stage stores, forward and backward, against the reference that rounds
//! where the kernels do. docs/cuda.md says how.
#![cfg(unix)]

mod case;
#[path = "../common/mod.rs"]
mod common;
mod device_numbers;
mod judge;

use case::{Case, Choice, Size};
use common::gpu;
use common::rounding::Tally;
use crosstalk::backend::TrainResult;
use crosstalk::backend::reference::numbers::{Bf16, Exact, Operand};
use crosstalk::device::Device;
use crosstalk::device::emulator::{Copies, Schedule};
use crosstalk::tensor::{Real, Shape};
use judge::{Fault, Judge};
use std::ops::Range;

/// The tolerances of f32 against f64 (tests/pytorch_network): relative errors of the loss and of each parameter's gradient.
const LOSS: f64 = 1e-6;
const GRADIENT: f64 = 3e-5;

/// Channels are padded, and halves of a factorized reduction, too.
const ZHANG64: Size = Size { space: "zhang64", input: Shape::new(9, 7, 3), channels: 12, cells: 3, images: 4 };
const NASBENCH201: Size = Size { space: "nasbench201", input: Shape::new(8, 8, 1), channels: 5, cells: 1, images: 4 };
const DARTS: Size = Size { space: "darts", input: Shape::new(8, 8, 3), channels: 3, cells: 3, images: 3 };

/// Runs a step on a device, whose stages must leave what the reference does of what they read.
fn judge(device: Device, case: &Case) -> TrainResult<f32> {
    let (result, numbers) = device_numbers::run(device, case);
    let mut judge = Judge::new(numbers, None);
    let expected = case.train_on(&mut judge);
    println!("{case}: {:?}", judge.tallies);
    assert!(judge.wrong.is_none(), "{case}: {}", judge.wrong.unwrap_or_default());
    judge.assert_nothing_is_left(case);
    let loss = (result.loss - expected.loss).abs() / expected.loss;
    assert!(loss <= LOSS && result.correct == expected.correct, "{case}: loss {}, not {}", result.loss, expected.loss);
    // On the emulator at most one in 8,000 of 72 steps of these sizes.
    let [numbers, other_side] = [|tally: &Tally| tally.numbers, |tally: &Tally| tally.other_side]
        .map(|count| judge.tallies.values().map(count).sum::<usize>());
    assert!(other_side * 2_000 <= numbers, "{case}: {other_side} of {numbers} numbers are rounded to the other side");
    result
}

/// How far a step is from another: the loss, the whole gradient, and the gradient of the worst parameter.
fn apart<T: Real>(case: &Case, found: &TrainResult<T>, expected: &TrainResult<f64>) -> [f64; 3] {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let all = norm(&mut expected.row.iter().copied());
    let error = |range: Range<usize>| {
        let (found, expected) = (&found.row[range.clone()], &expected.row[range]);
        let difference = norm(&mut found.iter().zip(expected).map(|(found, expected)| found.to_f64() - expected));
        difference / norm(&mut expected.iter().copied()).max(1e-6 * all)
    };
    let loss = (found.loss - expected.loss).abs() / expected.loss;
    [loss, error(0..expected.row.len()), case.rows().map(error).fold(0.0, f64::max)]
}

/// Judges a step on the emulator stage by stage, and as a whole beside a step of the reference alone. Seeds are such that the few numbers that are
/// rounded to the other side of a tie carry nothing away.
fn check(size: &Size, choice: Choice, seed: u64) {
    let case = Case::new(size, choice, seed);
    let result = judge(emulator(seed), &case);
    let rounded = case.train_on(&mut Bf16);
    let exact = case.train_on(&mut Exact);
    let [loss, gradient, worst] = apart(&case, &result, &rounded);
    let [exact_loss, exact_gradient, _] = apart(&case, &exact, &rounded);
    println!("{case}: loss {loss:.1e}, gradient {gradient:.1e}, worst {worst:.1e}");
    println!("{case}, without roundings: loss {exact_loss:.1e}, gradient {exact_gradient:.1e}");
    assert!(loss <= LOSS && worst <= GRADIENT, "{case}: loss {loss:e}, gradient {worst:e} from the reference");
    assert!(exact_gradient >= 1_000.0 * GRADIENT, "{case}: roundings change {exact_gradient:e}");
}

fn emulator(seed: u64) -> Device {
    let copies = if seed.is_multiple_of(2) { Copies::Late } else { Copies::Early };
    Device::emulator(Schedule { seed, copies }).expect("an emulator")
}

#[test]
fn every_stage_of_a_step_of_a_child_of_zhang64_rounds_as_the_reference() {
    check(&ZHANG64, Choice::Child, 15);
}

#[test]
fn every_stage_of_a_step_of_the_mixture_of_zhang64_rounds_as_the_reference() {
    check(&ZHANG64, Choice::Mixture, 2);
}

#[test]
fn every_stage_of_a_step_of_a_child_of_nasbench201_rounds_as_the_reference() {
    check(&NASBENCH201, Choice::Child, 2);
}

#[test]
fn every_stage_of_a_step_of_the_mixture_of_nasbench201_rounds_as_the_reference() {
    check(&NASBENCH201, Choice::Mixture, 9);
}

#[test]
fn every_stage_of_a_step_of_a_child_of_darts_rounds_as_the_reference() {
    check(&DARTS, Choice::Child, 2);
}

#[test]
fn every_stage_of_a_step_of_the_mixture_of_darts_rounds_as_the_reference() {
    check(&DARTS, Choice::Mixture, 12);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_every_stage_of_steps_of_all_spaces_rounds_as_the_reference() {
    for size in [ZHANG64, NASBENCH201, DARTS] {
        for choice in [Choice::Child, Choice::Mixture] {
            judge(gpu(), &Case::new(&size, choice, 1));
        }
    }
}

/// The step has every kind of operand.
#[test]
fn mistakes_in_roundings_are_found() {
    let case = Case::new(&DARTS, Choice::Child, 1);
    let (_, numbers) = device_numbers::run(emulator(1), &case);
    let operands = [Operand::Input, Operand::Filtered, Operand::Weights, Operand::OutputGradient];
    let faults = operands.into_iter().flat_map(|operand| [Fault::NotRounded(operand), Fault::CutOff(operand)]);
    for fault in faults.chain([Fault::CutOffStored, Fault::StatisticsBeforeRounding]) {
        let mut judge = Judge::new(numbers.clone(), Some(fault));
        case.train_on(&mut judge);
        let wrong: usize = judge.tallies.values().map(|tally| tally.wrong).sum();
        println!("{fault:?}: {wrong} numbers are wrong");
        assert!(wrong >= 100, "{fault:?}: {wrong} numbers are wrong");
    }
}
