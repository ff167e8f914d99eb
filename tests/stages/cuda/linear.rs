//! Linear operations: all that are registered, by the rows that the table of cases has for them.

use super::rounded::check_in_bf16;
use super::{On, check_against_the_reference};
use crate::case::Kind;

const fn is_linear(kind: Kind) -> bool {
    matches!(kind, Kind::Linear(_))
}

#[test]
fn the_kernels_of_linear_operations_agree_with_the_reference() {
    check_against_the_reference(On::Emulator, is_linear);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_the_kernels_of_linear_operations_agree_with_the_reference() {
    check_against_the_reference(On::Gpu, is_linear);
}

#[test]
fn the_kernels_of_linear_operations_in_bf16_are_right_to_their_last_places() {
    check_in_bf16(On::Emulator, is_linear);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_the_kernels_of_linear_operations_in_bf16_are_right_to_their_last_places() {
    check_in_bf16(On::Gpu, is_linear);
}
