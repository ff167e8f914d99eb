//! Whole networks against PyTorch's numbers (`tests/pytorch/networks.py`), on every backend; CUDA's kernels run on the emulator and, where asked for, on a GPU.

mod case;
#[path = "../common/mod.rs"]
mod common;
mod evaluation;
mod training;

use case::{Description, NETWORKS, pixel_table};
use common::goldens::Golden;
use common::gpu;
use crosstalk::backend::cpu::Cpu;
use crosstalk::backend::cuda::Cuda;
use crosstalk::backend::host::Host;
use crosstalk::backend::reference::Reference;
use crosstalk::device::Device;
#[cfg(unix)]
use crosstalk::device::emulator::{Copies, Schedule};
use crosstalk::ops::cuda::Storage;
use crosstalk::simd::Level;
use crosstalk::tensors::Values;
use evaluation::{check_evaluation, check_merged_graphs};
use training::{check_mixtures, check_running_statistics, check_training};

/// How far a backend may be from PyTorch's f64.
struct Tolerances {
    loss: f64,
    gradient: f64,
    running_statistics: f64,
}

const F64: Tolerances = Tolerances { loss: 1e-9, gradient: 1e-9, running_statistics: 1e-9 };

/// The mini-batches stay away from ties.
const F32: Tolerances = Tolerances { loss: 1e-6, gradient: 3e-5, running_statistics: 1e-6 };

#[test]
fn the_pixel_table_has_the_bits_of_numpy() {
    for name in NETWORKS {
        let golden: Golden<Description> = Golden::read(name);
        let Values::F32(expected) = &golden.get("pixel_table").values else { panic!("a table of f32") };
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
        assert_eq!(bits(pixel_table(&golden).as_flat()), bits(expected), "{name}");
    }
}

fn assert_loss_is_close(label: &str, found: f64, expected: f64, tolerance: f64) {
    let error = (found - expected).abs() / expected.abs();
    assert!(error <= tolerance, "{label}: loss {found}, PyTorch's {expected}, relative error {error:e}");
}

/// First largest logit of every image.
fn predictions(logits: &[f64], classes: usize) -> Vec<u8> {
    let first_largest =
        |row: &[f64]| (0..classes).fold(0, |best, class| if row[class] > row[best] { class } else { best });
    logits.chunks(classes).map(|row| first_largest(row) as u8).collect()
}

fn correct(predictions: &[u8], labels: &[u8]) -> usize {
    predictions.iter().zip(labels).filter(|(prediction, label)| prediction == label).count()
}

#[test]
fn losses_and_gradients_of_the_reference_are_those_of_pytorch() {
    check_training(&Host::new(Reference), &F64);
}

#[test]
fn losses_and_gradients_of_the_cpu_are_those_of_pytorch() {
    Level::available().into_iter().for_each(|level| check_training(&cpu(level), &F32));
}

fn cpu(level: Level) -> Host<Cpu> {
    Host::new(Cpu::new(level))
}

/// The kernels for GPUs, under two of the orders that a device may choose.
#[cfg(unix)]
fn emulators() -> impl Iterator<Item = Cuda> {
    [(0, Copies::Late), (1, Copies::Early)].into_iter().map(|(seed, copies)| {
        Cuda::new(Device::emulator(Schedule { seed, copies }).expect("an emulator"), Storage::F32)
    })
}

#[cfg(unix)]
#[test]
fn losses_and_gradients_of_the_emulated_gpu_are_those_of_pytorch() {
    emulators().for_each(|cuda| check_training(&cuda, &F32));
}

#[cfg(unix)]
#[test]
fn mixtures_and_their_architecture_parameters_on_the_emulated_gpu_are_those_of_pytorch() {
    emulators().for_each(|cuda| check_mixtures(&cuda, &F32));
}

#[cfg(unix)]
#[test]
fn running_statistics_of_the_emulated_gpu_move_as_in_pytorch() {
    emulators().take(1).for_each(|cuda| check_running_statistics(&cuda, &F32));
}

#[cfg(unix)]
#[test]
fn evaluations_of_the_emulated_gpu_are_those_of_pytorch() {
    emulators().take(1).for_each(|cuda| check_evaluation(&cuda, &F32));
}

#[cfg(unix)]
#[test]
fn evaluating_all_children_in_one_graph_gives_the_bits_of_each_alone_on_the_emulated_gpu() {
    emulators().take(1).for_each(|cuda| check_merged_graphs(&cuda, "sample:3"));
}

#[test]
fn mixtures_and_their_architecture_parameters_on_the_reference_are_those_of_pytorch() {
    check_mixtures(&Host::new(Reference), &F64);
}

#[test]
fn mixtures_and_their_architecture_parameters_on_the_cpu_are_those_of_pytorch() {
    Level::available().into_iter().for_each(|level| check_mixtures(&cpu(level), &F32));
}

#[test]
fn running_statistics_of_the_reference_move_as_in_pytorch() {
    check_running_statistics(&Host::new(Reference), &F64);
}

#[test]
fn running_statistics_of_the_cpu_move_as_in_pytorch() {
    Level::available().into_iter().for_each(|level| check_running_statistics(&cpu(level), &F32));
}

#[test]
fn evaluations_of_the_reference_are_those_of_pytorch() {
    check_evaluation(&Host::new(Reference), &F64);
}

#[test]
fn evaluations_of_the_cpu_are_those_of_pytorch() {
    Level::available().into_iter().for_each(|level| check_evaluation(&cpu(level), &F32));
}

#[test]
fn evaluating_all_children_in_one_graph_gives_the_bits_of_each_alone_on_the_reference() {
    check_merged_graphs(&Host::new(Reference), "every:64");
}

#[test]
fn evaluating_all_children_in_one_graph_gives_the_bits_of_each_alone_on_the_cpu() {
    Level::available().into_iter().for_each(|level| check_merged_graphs(&cpu(level), "every:64"));
}

fn on_the_gpu() -> Cuda {
    Cuda::new(gpu(), Storage::F32)
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_losses_and_gradients_are_those_of_pytorch() {
    check_training(&on_the_gpu(), &F32);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_mixtures_and_their_architecture_parameters_are_those_of_pytorch() {
    check_mixtures(&on_the_gpu(), &F32);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_running_statistics_move_as_in_pytorch() {
    check_running_statistics(&on_the_gpu(), &F32);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_evaluations_are_those_of_pytorch() {
    check_evaluation(&on_the_gpu(), &F32);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_evaluating_all_children_in_one_graph_gives_the_bits_of_each_alone() {
    check_merged_graphs(&on_the_gpu(), "every:64");
}
