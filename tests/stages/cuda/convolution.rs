//! Dense convolutions and the factorized reduction.

use super::rounded::check_in_bf16;
use super::{Kernels, On, check_against_the_reference};
use crate::case::{Case, Kind};
use crosstalk::ops::convolution::cuda::{forward, input_gradient, weight_gradient};
use crosstalk::ops::cuda::{Geometry, Storage};

fn kernels(case: &Case, geometry: &Geometry, storage: Storage) -> Kernels {
    let [input, weight] = [input_gradient, weight_gradient].map(|launch| launch(geometry, storage));
    Kernels {
        forward: forward(geometry, storage),
        backward: if case.image { vec![weight] } else { vec![input, weight] },
        sum_parts: input.parts,
        weight_parts: vec![weight.parts; case.weights().len()],
    }
}

#[test]
fn the_convolution_kernels_agree_with_the_reference() {
    check_against_the_reference(On::Emulator, &[Kind::Convolution], kernels);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_the_convolution_kernels_agree_with_the_reference() {
    check_against_the_reference(On::Gpu, &[Kind::Convolution], kernels);
}

#[test]
fn the_kernels_of_factorized_reductions_agree_with_the_reference() {
    check_against_the_reference(On::Emulator, &[Kind::FactorizedReduce], kernels);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_the_kernels_of_factorized_reductions_agree_with_the_reference() {
    check_against_the_reference(On::Gpu, &[Kind::FactorizedReduce], kernels);
}

#[test]
fn the_convolution_kernels_in_bf16_are_right_to_their_last_places() {
    check_in_bf16(On::Emulator, &[Kind::Convolution, Kind::FactorizedReduce], kernels);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_the_convolution_kernels_in_bf16_are_right_to_their_last_places() {
    check_in_bf16(On::Gpu, &[Kind::Convolution, Kind::FactorizedReduce], kernels);
}
