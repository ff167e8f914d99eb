//! The parameter tables of the built-in spaces.

mod common;

use crosstalk::network::{Network, NetworkSize, Sharing};
use crosstalk::space::Space;
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

fn nasbench201(convolution_bias: bool) -> Network {
    let space = Space { convolution_bias, ..Space::built_in("nasbench201").expect("a built-in space") };
    let size = NetworkSize { input: Shape::new(32, 32, 3), channels: 16, cells: 5, classes: 10 };
    Network::build(&space, size).expect("a valid size")
}

#[test]
fn nasbench201_has_1686106_parameters_and_as_many_biases_as_the_cells_convolutions_have_channels() {
    assert_eq!(nasbench201(false).parameter_count(), 1_686_106);
    // 5 cells x 6 edges x 2 convolutions of 16, 32 and 64 channels.
    assert_eq!(nasbench201(true).parameter_count(), 1_686_106 + 60 * (16 + 32 + 64));
    let network = nasbench201(true);
    let names: Vec<&str> = network.parameters.iter().map(|p| p.name.as_str()).collect();
    for name in [
        "stem.0.weight",
        "stem.1.running_mean",
        "cells.0.edges.1<-0.2.op.1.weight",
        "cells.16.edges.3<-2.3.op.1.bias",
        "cells.5.conv_a.op.1.weight",
        "cells.11.conv_b.op.2.running_var",
        "cells.5.downsample.1.weight",
        "lastact.0.bias",
        "classifier.weight",
    ] {
        assert!(names.contains(&name), "{name} is missing");
    }
    let absent = ["cells.0.edges.1<-0.2.op.2.running_mean", "cells.5.conv_a.op.1.bias", "stem.0.bias"];
    assert!(absent.iter().all(|name| !names.contains(name)));
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
