//! The parameter table of zhang64.

mod common;

use crosstalk::network::{NetworkSize, Sharing};
use crosstalk::tensor::Shape;

#[test]
fn zhang64_has_58074_parameters() {
    let network = common::zhang64(Shape::new(32, 32, 3), 16, 4, 10);
    assert_eq!(network.parameter_count(), 58_074);
}

#[test]
fn parameters_have_the_official_names() {
    let network = common::zhang64(Shape::new(8, 8, 1), 8, 2, 10);
    let names: Vec<&str> = network.parameters.iter().map(|p| p.name.as_str()).collect();
    for name in [
        "net.stem.0.weight",
        "net.stem.3.running_var",
        "net.cells.0.preproc.net.1.weight",
        "net.cells.1.preproc.net.2.running_mean",
        "net.cells.0.dag.0.0._ops.0.bn.running_mean",
        "net.cells.1.dag.1.1._ops.1.net.1.net.2.weight",
        "net.cells.0.dag.1.0._ops.3.net.3.running_var",
        "net.linear.bias",
    ] {
        assert!(names.contains(&name), "{name} is missing");
    }
    assert!(!names.contains(&"net.cells.0.preproc.net.2.weight"), "cells have no affine normalization");
}

#[test]
fn a_policy_gives_private_parameters_one_copy_for_each_child_that_uses_them() {
    let network = common::zhang64(Shape::new(8, 8, 1), 8, 2, 10);
    let find = |name: &str| network.parameters.iter().position(|p| p.name == name).expect("a parameter");
    let stem = find("net.stem.0.weight");
    let first_cell = find("net.cells.0.preproc.net.1.weight");
    let candidate = find("net.cells.1.dag.0.0._ops.3.net.1.weight");
    for (sharing, counts) in [
        (Sharing::All, [1, 1, 1]),
        (Sharing::None, [64, 64, 16]),
        (Sharing::Prefix(0), [1, 64, 16]),
        (Sharing::Prefix(1), [1, 1, 16]),
        (Sharing::Prefix(2), [1, 1, 1]),
    ] {
        let model = common::model(network.clone(), sharing);
        let found = [stem, first_cell, candidate].map(|id| model.copies.count(id));
        assert_eq!(found, counts, "{sharing:?}");
    }
}

#[test]
fn a_size_of_zero_is_refused() {
    let space = crosstalk::space::Space::built_in("zhang64").expect("a built-in space");
    let size = NetworkSize { input: Shape::new(8, 8, 1), channels: 0, cells: 4, classes: 10 };
    let error = crosstalk::network::Network::build(&space, size).expect_err("no channels");
    assert!(error.to_string().contains("channels must be at least 1 and at most 16384"), "{error}");
}
