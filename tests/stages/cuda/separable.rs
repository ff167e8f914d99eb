//! Depthwise-separable convolutions.

use super::rounded::check_in_bf16;
use super::{Kernels, On, check_against_the_reference};
use crate::case::{Case, Kind};
use crosstalk::ops::cuda::{Geometry, Storage};
use crosstalk::ops::depthwise::cuda::{depthwise_gradient, forward, pointwise_gradient};

fn kernels(_: &Case, geometry: &Geometry, storage: Storage) -> Kernels {
    let [pointwise, depthwise] = [pointwise_gradient, depthwise_gradient].map(|launch| launch(geometry, storage));
    Kernels {
        forward: forward(geometry, storage),
        backward: vec![pointwise, depthwise],
        sum_parts: depthwise.parts,
        weight_parts: vec![depthwise.parts, pointwise.parts],
    }
}

#[test]
fn the_kernels_of_separable_convolutions_agree_with_the_reference() {
    check_against_the_reference(On::Emulator, &[Kind::DepthwiseSeparable], kernels);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_the_kernels_of_separable_convolutions_agree_with_the_reference() {
    check_against_the_reference(On::Gpu, &[Kind::DepthwiseSeparable], kernels);
}

#[test]
fn the_kernels_of_separable_convolutions_in_bf16_are_right_to_their_last_places() {
    check_in_bf16(On::Emulator, &[Kind::DepthwiseSeparable], kernels);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_the_kernels_of_separable_convolutions_in_bf16_are_right_to_their_last_places() {
    check_in_bf16(On::Gpu, &[Kind::DepthwiseSeparable], kernels);
}
