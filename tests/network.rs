//! The parameter tables of the built-in spaces.

mod common;

use crosstalk::network::{Network, NetworkError, NetworkSize, Sharing};
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

fn darts(input: Shape, channels: usize) -> Result<Network, NetworkError> {
    let space = Space::built_in("darts").expect("a built-in space");
    Network::build(&space, NetworkSize { input, channels, cells: 8, classes: 10 })
}

#[test]
fn darts_has_1930618_parameters_under_the_official_names() {
    let network = darts(Shape::new(32, 32, 3), 16).expect("a valid size");
    assert_eq!(network.parameter_count(), 1_930_618);
    let shape = |name: &str| {
        let parameter = network.parameters.iter().find(|parameter| parameter.name == name);
        parameter.unwrap_or_else(|| panic!("{name} is missing")).layout.shape()
    };
    for (name, expected) in [
        ("stem.0.weight", vec![48, 3, 3, 3]),
        ("stem.1.weight", vec![48]),
        ("cells.0.preprocess0.op.1.weight", vec![16, 48, 1, 1]),
        ("cells.2.preprocess0.op.2.running_mean", vec![32]),
        ("cells.3.preprocess0.conv_1.weight", vec![16, 64, 1, 1]),
        ("cells.6.preprocess0.conv_2.weight", vec![32, 128, 1, 1]),
        ("cells.6.preprocess0.bn.running_var", vec![64]),
        ("cells.0._ops.0._ops.1.1.running_mean", vec![16]),
        ("cells.2._ops.0._ops.3.conv_1.weight", vec![16, 32, 1, 1]),
        ("cells.5._ops.13._ops.4.op.6.weight", vec![64, 64, 1, 1]),
        ("cells.7._ops.8._ops.5.op.5.weight", vec![64, 1, 5, 5]),
        ("cells.7._ops.8._ops.7.op.3.running_var", vec![64]),
        ("classifier.weight", vec![10, 256]),
    ] {
        assert_eq!(shape(name), expected, "{name}");
    }
    let absent =
        ["cells.3.preprocess0.op.1.weight", "cells.2._ops.4._ops.3.conv_1.weight", "cells.0.preprocess1.op.2.weight"];
    assert!(network.parameters.iter().all(|parameter| !absent.contains(&parameter.name.as_str())));
}

#[test]
fn a_factorized_reduction_of_odd_sizes_or_channels_is_refused() {
    let error = |size: Result<Network, NetworkError>| size.expect_err("no such halves").to_string();
    for (height, width) in [(28, 30), (31, 32), (18, 14)] {
        let refused = error(darts(Shape::new(height, width, 3), 16));
        assert!(
            refused.contains("darts: a factorized reduction in reduce has no two halves of one size for "),
            "{refused}"
        );
    }
    darts(Shape::new(28, 28, 1), 16).expect("28 pixels are halved twice");
    let darts = include_str!("../spaces/darts.toml");
    let stem = r#"{ operation = "convolution", kernel = 3, channels = 3, weights = ["stem.0"]"#;
    assert!(darts.contains(stem));
    let halved = r#"{ operation = "factorized_reduce", channels = 3, weights = ["stem.0", "stem.2"]"#;
    let space = Space::from_toml(&darts.replace(stem, halved), "my.toml").expect("a space");
    let size = |channels| NetworkSize { input: Shape::new(16, 16, 1), channels, cells: 3, classes: 10 };
    let refused = error(Network::build(&space, size(5)));
    assert!(refused.contains("in the stem cannot make 15 channels in two halves; choose even channels"), "{refused}");
    Network::build(&space, size(6)).expect("18 channels in two halves");
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
