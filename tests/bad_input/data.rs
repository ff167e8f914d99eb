//! Files of data, and images and classes that do not fit.

use crate::common::command::Workshop;
use crate::{not_begun, refused};

#[test]
fn a_data_file_that_is_missing_truncated_or_of_another_kind_is_named() {
    let shop = Workshop::new();
    not_begun(&shop, "small.toml --data idx:nowhere", &["nowhere cannot be read", "check the path"]);
    not_begun(&shop, "small.toml --data cifar10:nowhere", &["nowhere cannot be read", "check the path"]);
    not_begun(&shop, "small.toml --data idx:small.toml", &["small.toml", "no folder"]);
    let cifar10 = [
        "error: cifar-10-batches-bin cannot be read",
        "name the data set with --data cifar10:PATH",
        "download one with `crosstalk data fetch cifar10 --to cifar-10-batches-bin`",
    ];
    not_begun(&shop, "paper", &cifar10);
    let fashion =
        ["error: fashion-mnist cannot be read", "--data idx:FOLDER", "data fetch fashion-mnist --to fashion-mnist`"];
    not_begun(&shop, "fashion", &fashion);
    std::fs::create_dir(shop.path("idx")).expect("a folder");
    not_begun(&shop, "small.toml --data idx:idx", &["idx has no train-images-idx3-ubyte"]);
    let (images, labels) = (shop.path("idx/train-images-idx3-ubyte"), shop.path("idx/train-labels-idx1-ubyte"));
    let header = |magic: u32, sizes: &[u32]| -> Vec<u8> {
        std::iter::once(&magic).chain(sizes).flat_map(|word| word.to_be_bytes()).collect()
    };
    std::fs::write(&labels, [header(0x801, &[10]), vec![1; 10]].concat()).expect("a file");
    std::fs::write(&images, [header(0x803, &[10, 8, 8]), vec![7; 300]].concat()).expect("a file");
    not_begun(&shop, "small.toml --data idx:idx", &["train-images-idx3-ubyte", "10 x 8 x 8", "download it again"]);
    std::fs::write(&images, "<html>not found</html>").expect("a file");
    not_begun(&shop, "small.toml --data idx:idx", &["train-images-idx3-ubyte", "starts with 0x3c68746d"]);
    std::fs::write(&images, [header(0x803, &[9, 8, 8]), vec![7; 576]].concat()).expect("a file");
    not_begun(&shop, "small.toml --data idx:idx", &["9 images", "10 labels"]);
    std::fs::write(shop.path("half.bin"), vec![0; 3073 + 1500]).expect("a file");
    not_begun(&shop, "small.toml --data cifar10:half.bin", &["half.bin", "4573 bytes", "3073-byte records"]);
    std::fs::write(shop.path("label.bin"), vec![11; 3073]).expect("a file");
    not_begun(&shop, "small.toml --data cifar10:label.bin", &["label.bin", "label 11"]);
    refused(&shop, "data inspect cifar10:half.bin", &["half.bin", "4573 bytes"]);
}

#[test]
fn images_of_another_size_or_channel_count_are_refused() {
    let shop = Workshop::new();
    let numbers = ["has 3 numbers", "the images have 1 channels", "one number a channel"];
    not_begun(&shop, "small.toml --set data.mean=[0.1,0.2,0.3]", &[&["`data.mean`"], &numbers[..]].concat());
    not_begun(&shop, "small.toml --set data.std=[0.1,0.2,0.3]", &[&["`data.std`"], &numbers[..]].concat());
    not_begun(&shop, "small.toml --set data.std=[0.0]", &["channel 0", "deviation above zero"]);
    not_begun(&shop, "small.toml --set augmentation.crop_padding=8", &["`crop_padding = 8`", "8x8", "set less"]);
    // A supernet of one-channel images, gone on with on images of three.
    shop.train("run", "");
    std::fs::write(shop.path("color.bin"), vec![3; 3073 * 500]).expect("a file");
    let onward = ["replica-0.safetensors", "`net.stem.0.weight` has the shape [24, 1, 3, 3]", "[24, 3, 3, 3]"];
    refused(
        &shop,
        "train --from run --data cifar10:color.bin --set data.mean=[0.5,0.5,0.5] --set data.std=[0.2,0.2,0.2]",
        &onward,
    );
}

#[test]
fn more_classes_than_the_head_has_are_refused() {
    let shop = Workshop::new();
    not_begun(&shop, "small.toml --set network.classes=5", &["10 classes", "network.classes = 5", "raise it"]);
}
