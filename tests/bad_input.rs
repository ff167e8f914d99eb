//! Bad input from the command line: one clear sentence with the name of the thing and what to do, an exit code that is not zero, no
//! panic, and whatever was recorded before stays whole.

mod common;

use common::command::{SMALL, Workshop};
use crosstalk::records::{Journal, StepRecord};
use crosstalk::tensors::TensorFile;
#[cfg(target_os = "linux")]
use crosstalk::train::available_bytes;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

const CHECKPOINT: &str = "checkpoints/step-00000012/replica-0.safetensors";

/// Asserts that the program failed with one sentence that holds all `parts`.
fn assert_sentence(arguments: &str, output: &Output, parts: &[&str]) {
    let error = String::from_utf8(output.stderr.clone()).expect("text");
    assert_eq!(output.status.code(), Some(1), "crosstalk {arguments}: {error}");
    assert!(error.starts_with("error: ") && error.trim_end().lines().count() == 1, "crosstalk {arguments}: {error}");
    for part in parts {
        assert!(error.contains(part), "crosstalk {arguments}: `{part}` is not in: {error}");
    }
}

fn refused(shop: &Workshop, arguments: &str, parts: &[&str]) {
    assert_sentence(arguments, &shop.command(arguments).output().expect("the program starts"), parts);
}

/// As [`refused`], for training: no run folder is left behind.
fn not_begun(shop: &Workshop, arguments: &str, parts: &[&str]) {
    refused(shop, &format!("train {arguments} --out unbegun"), parts);
    assert!(!shop.path("unbegun").exists(), "train {arguments} left a folder");
}

/// The first half of a file, in a new one.
fn half(shop: &Workshop, of: &Path, name: &str) -> PathBuf {
    let bytes = std::fs::read(of).expect("a file");
    let path = shop.path(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("a file");
    path
}

/// Every file under a folder with its bytes.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push((path.clone(), std::fs::read(&path).expect("a file")));
        }
    }
    all.sort();
    all
}

/// Names in a folder.
fn names(folder: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    names
}

#[test]
fn an_unknown_key_is_named_with_those_that_exist() {
    let shop = Workshop::new();
    not_begun(
        &shop,
        "small.toml --set optimizer.learnig_rate=1",
        &["error: --set optimizer.learnig_rate=1: ", "`learnig_rate`", "`learning_rate`"],
    );
    std::fs::write(shop.path("key.toml"), SMALL.replace("cells = 2", "cell = 2")).expect("a file");
    not_begun(&shop, "key.toml", &["key.toml: line 7", "`cell`", "`cells`"]);
    not_begun(&shop, "swift", &["no preset `swift`", "quick, paper, fashion"]);
    not_begun(&shop, "small.toml --set network.space=zhang65", &["`zhang65`", "`zhang64`"]);
}

#[test]
fn a_wrong_type_or_value_is_named_with_its_key() {
    let shop = Workshop::new();
    std::fs::write(shop.path("type.toml"), SMALL.replace("steps = 12", "steps = \"twelve\"")).expect("a file");
    not_begun(&shop, "type.toml", &["type.toml: line 3", "\"twelve\"", "expected u64"]);
    let fast = ["error: --set optimizer.learning_rate=fast: ", "\"fast\""];
    not_begun(&shop, "small.toml --steps 3 --set name=run --set optimizer.learning_rate=fast --set replicas=2", &fast);
    not_begun(&shop, "quick --set optimizer.learning_rate=fast", &fast);
    // What is wrong without any assignment is blamed on the file.
    not_begun(&shop, "type.toml --set name=run", &["error: type.toml: ", "\"twelve\""]);
    not_begun(&shop, "small.toml --set data.batch=-3", &["`-3`", "data.batch"]);
    not_begun(&shop, "small.toml --set optimizer.momentum=1.5", &["`optimizer.momentum`", "below 1, not 1.5"]);
    not_begun(&shop, "small.toml --set steps", &["--set steps: write KEY=VALUE"]);
    not_begun(&shop, "small.toml --set data.batch=0", &["batch size is 0", "at least 1"]);
    not_begun(&shop, "small.toml --threads 0", &["--threads", "at least 1"]);
    not_begun(&shop, "small.toml --set evaluation.norm=[\"batch\",\"batch\"]", &["`evaluation.norm`", "batch twice"]);
    not_begun(&shop, "small.toml --set data.train_images=5000", &["train_images = 5000", "1437"]);
    not_begun(&shop, "small.toml --set data.validation=test", &["`digits` has no test file", "held_out"]);
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    let shop = Workshop::new();
    for (options, parts) in [
        (
            "--set network.sharing.prefix=3",
            ["`network.sharing.prefix` = 3 cells", "the network has, 2; share at most 2"],
        ),
        (
            "--set network.children=[\"111\"]",
            ["`network.children` names children", "network.sharing = \"all\" gives none"],
        ),
        ("--simd portable --device reference", ["--simd", "but the reference computes; leave it out"]),
        ("--simd portable --set precision=f64", ["--simd", "but the reference computes; leave it out"]),
        (
            "--set optimizer.nesterov=true --set optimizer.momentum=0",
            ["`optimizer.nesterov`", "no effect without momentum"],
        ),
        ("--set interference.norm=[]", ["`interference.norm` names no regime", "running, batch, recalibrated"]),
        (
            "--set optimizer.schedule=cosine --set optimizer.minimum_learning_rate=0.5",
            ["`optimizer.minimum_learning_rate` is 0.5, above optimizer.learning_rate = ", "lower it, or leave it out"],
        ),
    ] {
        not_begun(&shop, &format!("small.toml {options}"), &parts);
    }
    let shared = "small.toml --steps 1 --set evaluation.at_end=false --set network.sharing.prefix=2";
    shop.run(&format!("train {shared} --out all-but-the-head"));
    shop.run("train small.toml --steps 1 --set optimizer.schedule=cosine --set optimizer.learning_rate=0 --out still");
    let written = std::fs::read_to_string(shop.path("still/run.toml")).expect("a file");
    assert!(written.contains("minimum_learning_rate = 0.0"), "{written}");
}

#[test]
fn what_does_not_fit_a_search_is_named_with_its_key() {
    let shop = Workshop::new();
    let mixture = "small.toml --set step.children=mixture --set step.order=lexicographic";
    for (options, parts) in [
        (
            "--set step.lanes=2",
            ["`step.children` = \"mixture\" trains all candidates in one lane", "leave out step.lanes"],
        ),
        ("--set step.order=permutation", ["`step.children` = \"mixture\"", "step.order"]),
        ("--set network.sharing=none", ["`network.sharing` must be \"all\" for a mixture", "of all children"]),
        ("--set architecture.learning_rate=-1", ["`architecture.learning_rate`", "at least 0, not -1"]),
        ("--set architecture.betas=[0.5,1.0]", ["`architecture.betas`", "below 1, not 1"]),
        ("--set architecture.portion=1.0", ["`architecture.portion` must be above 0 and below 1", "not 1"]),
        (
            "--set architecture.portion=0.001",
            ["`architecture.portion` = 0.001 leaves", "none of 100 images; move it towards 0.5"],
        ),
        ("--set architecture.rate=1", ["unknown field `rate`", "expected one of `learning_rate`, `betas`"]),
        ("--set data.order=explicit", ["`data.order` is \"explicit\"", "architecture.batches must name a CSV file"]),
    ] {
        not_begun(&shop, &format!("{mixture} {options}"), &parts);
    }
    let needed = "set step.children = \"mixture\"";
    not_begun(&shop, "small.toml --set architecture.portion=0.4", &["`architecture` is for a search", needed]);
    not_begun(&shop, "small.toml --set evaluation.children=derived", &["`evaluation.children` = \"derived\"", needed]);
}

#[test]
fn arguments_that_cannot_be_parsed_are_told_in_one_sentence() {
    let shop = Workshop::new();
    for (arguments, parts) in [
        ("train quick --stpes 3", ["unexpected argument '--stpes' found; ", "'--steps'"]),
        ("train", ["the following required arguments were not provided:", "<CONFIG>"]),
        ("eval", ["the following required arguments were not provided:", "<RUN>"]),
        ("train quick --steps many", ["invalid value 'many' for '--steps <STEPS>'", "invalid digit"]),
        ("train quick --device gpu", ["invalid value 'gpu' for '--device <DEVICE>'", "reference]"]),
        ("train quick --data nothing", ["unknown data source `nothing`", "`cifar10:PATH`"]),
        ("train --resume run --steps 3", ["'--resume <RUN>' cannot be used with", "'--steps <STEPS>'"]),
        ("interfer run", ["unrecognized subcommand 'interfer'", "'interfere'"]),
    ] {
        let output = shop.command(arguments).output().expect("the program starts");
        let error = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "crosstalk {arguments}: {error}");
        let one = error.starts_with("error: ") && error.lines().count() == 1 && error.ends_with("can be given\n");
        assert!(one && parts.iter().all(|part| error.contains(part)), "crosstalk {arguments}: {error}");
    }
}

#[test]
fn numbers_beyond_what_can_be_held_are_refused_before_they_take_all_memory() {
    let shop = Workshop::new();
    let most = ["channels must be at least 1 and at most 16384, not 100000000", "[network]"];
    not_begun(&shop, "small.toml --set network.channels=100000000", &most);
    not_begun(&shop, "small.toml --set network.cells=3000000", &["cells must be", "at most 1024, not 3000000"]);
    not_begun(&shop, "small.toml --set network.cells=0", &["cells must be at least 1", "not 0"]);
    not_begun(&shop, "small.toml --set data.batch=101", &["`data.batch` is 101", "only 100 images", "at most 100"]);
    not_begun(&shop, "small.toml --set step.lanes=100000000", &["`step.lanes`", "at most 65536"]);
    not_begun(&shop, "small.toml --set epochs=9000000000000000000", &["`epochs`", "at most 1000000000"]);
    if cfg!(target_os = "linux") {
        let memory = ["4294967295 replica(s)", "MiB of memory", "MiB are free", "lower network.channels"];
        not_begun(&shop, "small.toml --set replicas=4294967295", &memory);
    }
}

/// Large feature maps and few parameters; the images of [`with_large_images`].
#[cfg(target_os = "linux")]
const LARGE: &str = r#"
name = "large"
precision = "f64"
steps = 1
network = { space = "zhang64", channels = 128, cells = 1 }
data = { source = "cifar10:images.bin", batch = 2, train_images = 4, evaluation_images = 3000 }
evaluation = { at_end = false, batch = 3000 }
"#;

/// A workshop with `large.toml` and the images that it names, which are all zero.
#[cfg(target_os = "linux")]
fn with_large_images() -> Workshop {
    // The last tenth is held out.
    const IMAGES: usize = 30_000;
    let shop = Workshop::new();
    std::fs::write(shop.path("large.toml"), LARGE).expect("a file");
    std::fs::write(shop.path("images.bin"), vec![0; 3073 * IMAGES]).expect("a file");
    shop
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_that_is_planned_to_take_more_memory_than_there_is_is_refused_before_it_begins() {
    let shop = Workshop::new();
    let told = |remedy| ["error: the plan takes ", " MiB of memory, but ", " MiB are available; lower ", remedy];
    let begun = std::time::Instant::now();
    let batch = told("data.batch, network.channels, step.lanes, replicas or --threads");
    for batch_size in [100_000_000_u32, u32::MAX] {
        let large = format!("small.toml --set data.order=file --set data.batch={batch_size}");
        not_begun(&shop, &large, &batch);
        not_begun(&shop, &format!("{large} --set precision=f64"), &batch);
        not_begun(&shop, &format!("{large} --set evaluation.at_end=false --set network.channels=128"), &batch);
    }
    let many = "small.toml --set step.children=uniform --set step.order=lexicographic --set step.lanes=65536 --set data.order=file --set data.batch=1000";
    let pixels = told("data.batch, step.lanes or replicas");
    not_begun(&shop, &format!("{many} --set step.minibatch=independent --set replicas=500"), &pixels);
    assert!(begun.elapsed().as_secs() < 60, "the refusals took {:?}", begun.elapsed());
}

#[cfg(target_os = "linux")]
#[test]
fn replicas_whose_steps_would_not_fit_are_refused_before_their_banks_are_made() {
    let shop = Workshop::new();
    // Weights and momentum of one replica in f32. A step takes about as much again: banks fit, a run does not.
    let printed = shop.run("train small.toml --out run --steps 1");
    let before = printed.split_once(" parameters").expect("the number of parameters").0;
    let parameters: u64 = before.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a number");
    let replicas = available_bytes().expect("a number on Linux") as u64 / 10 * 8 / (8 * parameters);
    // Far less than the banks would take.
    let arguments = format!("train small.toml --out unbegun --set replicas={replicas}");
    let shell = format!(r#"ulimit -v 4000000; exec "$0" {arguments}"#);
    let mut command = std::process::Command::new("sh");
    command.current_dir(shop.path("")).args(["-c", &shell, env!("CARGO_BIN_EXE_crosstalk")]);
    let output = command.output().expect("the shell starts");
    assert_sentence(&arguments, &output, &["the plan takes", "MiB are available; lower replicas, network.channels"]);
    assert!(!shop.path("unbegun").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn evaluations_and_measurements_too_large_for_the_memory_are_refused_and_leave_nothing() {
    let shop = with_large_images();
    let told = [
        "error: the plan takes ",
        " MiB of memory, but ",
        " MiB are available; lower evaluation.batch (for `recalibrated` data.batch) or evaluate fewer children",
    ];
    not_begun(&shop, "large.toml --set evaluation.at_end=true", &told);
    not_begun(&shop, "large.toml --set interference.children=all", &told);
    shop.run("train large.toml --out run");
    let before = (files(&shop.path("run")), names(&shop.path("run")));
    refused(&shop, "eval run", &told);
    refused(&shop, "interfere run --children all --norm batch", &told);
    assert_eq!((files(&shop.path("run")), names(&shop.path("run"))), before);
}

#[test]
fn a_child_that_the_space_lacks_is_refused_before_anything_is_trained() {
    let shop = Workshop::new();
    let nine = ["`119` has `9` at position 3", "write one of 1 max_pool_3x3"];
    not_begun(&shop, "small.toml --children 119", &nine);
    not_begun(&shop, "small.toml --set step.order=[\"119\"]", &nine);
    not_begun(&shop, "small.toml --set evaluation.children=119", &nine);
    not_begun(&shop, "small.toml --set interference.children=119", &nine);
    not_begun(&shop, "small.toml --set evaluation.children=every:0", &["`every:0`", "choose one from 1 to 64"]);
    let private = "small.toml --set network.sharing=none --children 111 --set evaluation.children=112";
    not_begun(&shop, private, &["`evaluation.children` asks for", "child 112 has no private copy"]);
    let measured = "small.toml --set network.sharing=none --children 111 --set interference.children=112";
    not_begun(&shop, measured, &["`interference.children` asks for", "child 112 has no private copy"]);
    let order = "small.toml --set network.sharing=none --set step.order=[\"111\",\"213\"]";
    not_begun(&shop, order, &["`evaluation.children` asks for", "child 222 has no private copy"]);
    shop.train("run", "");
    let before = (files(&shop.path("run")), names(&shop.path("run")));
    for command in ["eval", "interfere"] {
        refused(&shop, &format!("{command} run --children 119"), &nine);
        refused(&shop, &format!("{command} run --children 11"), &["`11` has 2 digits", "zhang64 has 3 edges"]);
        refused(&shop, &format!("{command} run --norm batch,batch"), &["`--norm`", "the regime batch twice"]);
    }
    assert_eq!((files(&shop.path("run")), names(&shop.path("run"))), before);
}

#[test]
fn zero_children_are_refused() {
    let shop = Workshop::new();
    not_begun(&shop, "small.toml --set step.order=[]", &["`step.order` is an empty list", "name at least one child"]);
    not_begun(&shop, "small.toml --children=", &["the list of children is empty", "`all`, `every:N`, `sample:N`"]);
    not_begun(&shop, "small.toml --set evaluation.children=", &["the list of children is empty", "zhang64"]);
    not_begun(&shop, "small.toml --set interference.children=", &["the list of children is empty", "zhang64"]);
    shop.train("run", "");
    for command in ["eval", "interfere"] {
        refused(&shop, &format!("{command} run --children="), &["the list of children is empty"]);
    }
}

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
fn a_configuration_that_is_missing_truncated_or_no_text_is_named() {
    let shop = Workshop::new();
    not_begun(&shop, "nowhere.toml", &["nowhere.toml cannot be read", "check the path"]);
    std::fs::write(shop.path("bytes.toml"), [0xff, 0xfe, 0x00]).expect("a file");
    not_begun(&shop, "bytes.toml", &["bytes.toml cannot be read", "must be a TOML file"]);
    std::fs::write(shop.path("empty.toml"), "").expect("a file");
    not_begun(&shop, "empty.toml", &["empty.toml", "missing field `name`"]);
    shop.train("run", "");
    std::fs::remove_file(shop.path("run/result.toml")).expect("a file");
    half(&shop, &shop.path("run/run.toml"), "run/run.toml");
    let before = files(&shop.path("run"));
    refused(&shop, "train --resume run", &["run/run.toml"]);
    assert_eq!(files(&shop.path("run")), before);
}

#[test]
fn a_checkpoint_that_is_truncated_or_changed_is_named() {
    let shop = Workshop::new();
    shop.train("run", "");
    let whole = std::fs::read(shop.path("run").join(CHECKPOINT)).expect("a file");
    let commands = ["eval run", "interfere run", "train --from run", "train --resume run"];
    std::fs::remove_file(shop.path("run/result.toml")).expect("a file");
    half(&shop, &shop.path("run").join(CHECKPOINT), &format!("run/{CHECKPOINT}"));
    let before = files(&shop.path("run"));
    for command in commands {
        refused(&shop, command, &["replica-0.safetensors is truncated", "copy or export it again"]);
    }
    assert_eq!(files(&shop.path("run")), before);
    let mut changed = whole;
    *changed.last_mut().expect("bytes") ^= 0x40;
    std::fs::write(shop.path("run").join(CHECKPOINT), changed).expect("a file");
    for command in commands {
        refused(&shop, command, &["replica-0.safetensors", "was changed or is damaged"]);
    }
    // Its weights with a preset's training: the same; in another precision too.
    for options in ["", "--set precision=f64", "--set network.sharing=all --set replicas=2"] {
        not_begun(
            &shop,
            &format!("small.toml --from run {options}"),
            &["replica-0.safetensors", "was changed or is damaged"],
        );
    }
    refused(&shop, "eval run --device reference", &["replica-0.safetensors", "was changed or is damaged"]);
    refused(&shop, "eval small.toml", &["error: small.toml is no .safetensors file; name one"]);
    refused(&shop, "eval nowhere", &["cannot read nowhere", "check the path"]);
    refused(&shop, "weights inspect small.toml", &["error: small.toml is no .safetensors file; name one"]);
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
fn weights_whose_names_or_shapes_do_not_fit_are_refused_by_name() {
    let shop = Workshop::new();
    shop.train("run", "");
    let from = format!("small.toml --from run/{CHECKPOINT}");
    let shape = ["`net.stem.0.weight` has the shape [24, 1, 3, 3]", "[48, 1, 3, 3]", "check [network]"];
    not_begun(&shop, &format!("{from} --set network.channels=16"), &shape);
    not_begun(&shop, &format!("{from} --set network.cells=1"), &["not of this network", "`net.cells.1."]);
    let mut weights = TensorFile::read(&shop.path("run").join(CHECKPOINT)).expect("a checkpoint");
    weights.tensors.retain(|name, _| !name.starts_with("momentum/"));
    let bias = weights.tensors.remove("net.linear.bias").expect("the head's bias");
    weights.write(&shop.path("lacks.safetensors")).expect("a file");
    not_begun(&shop, "small.toml --from lacks.safetensors", &["lacks.safetensors", "`net.linear.bias`"]);
    weights.tensors.insert("classifier.bias".to_owned(), bias);
    weights.write(&shop.path("other.safetensors")).expect("a file");
    not_begun(&shop, "small.toml --from other.safetensors", &["other.safetensors", "bias`"]);
}

#[test]
fn an_existing_run_folder_is_refused_and_left_alone() {
    let shop = Workshop::new();
    shop.train("run", "");
    let before = files(&shop.path("run"));
    refused(&shop, "train small.toml --out run", &["cannot create run", "exists already", "choose another name"]);
    refused(&shop, "train small.toml --out small.toml", &["cannot create small.toml", "exists already"]);
    assert_eq!(files(&shop.path("run")), before);
}

#[test]
fn a_replica_that_the_run_lacks_is_refused_with_how_many_it_has() {
    let shop = Workshop::new();
    shop.train("run", "--set replicas=2");
    for command in ["eval", "interfere"] {
        let told = ["run/checkpoints/step-00000012: has no replica 3; it has 2, counted from 0"];
        refused(&shop, &format!("{command} run --replica 3"), &told);
    }
}

#[test]
fn results_are_not_written_into_a_file() {
    let shop = Workshop::new();
    shop.train("run", "");
    let interfere = "interfere run --children every:2 --out";
    refused(&shop, &format!("{interfere} small.toml"), &["--out small.toml: small.toml is a file; name a folder"]);
    let below = ["--out small.toml/deep/down: small.toml is a file; name a folder"];
    refused(&shop, &format!("{interfere} small.toml/deep/down"), &below);
    shop.run(&format!("{interfere} new/deep/down"));
    assert!(shop.path("new/deep/down/interference").is_dir());
}

#[test]
fn more_classes_than_the_head_has_are_refused() {
    let shop = Workshop::new();
    not_begun(&shop, "small.toml --set network.classes=5", &["10 classes", "network.classes = 5", "raise it"]);
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_the_steps_before() {
    let shop = Workshop::new();
    let told = ["the run in run stopped: step 1: the loss of child", "is NaN", "lower optimizer.learning_rate"];
    // The first step sees the initial weights; its update throws them out of range.
    refused(
        &shop,
        "train small.toml --out run --set step.order=lexicographic --set optimizer.learning_rate=1e30",
        &told,
    );
    let journal = shop.path("run/steps.journal");
    let steps = || -> Vec<u64> {
        let rows: Vec<StepRecord> = Journal::read(&journal).expect("a journal");
        assert!(rows.iter().all(|row| row.loss.is_finite()));
        rows.iter().map(|row| row.step).collect()
    };
    assert_eq!(steps(), [0]);
    assert!(!shop.path("run/result.toml").exists());
    refused(&shop, "train --resume run", &told);
    assert_eq!(steps(), [0]);
}

/// Runs the program where no file may grow beyond a number of 512-byte blocks, which the kernel reports as it would a full disk.
#[cfg(target_os = "linux")]
fn with_small_files(shop: &Workshop, blocks: u64, arguments: &str) -> Output {
    let shell = format!(r#"trap "" XFSZ; ulimit -f {blocks}; exec "$0" {arguments}"#);
    let mut command = std::process::Command::new("sh");
    command.current_dir(shop.path("")).args(["-c", &shell, env!("CARGO_BIN_EXE_crosstalk")]);
    command.output().expect("the shell starts")
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_stops_the_run_and_its_last_checkpoint_resumes() {
    let shop = Workshop::new();
    // The journal outgrows the checkpoints, which have to be written.
    let long = "--set steps=9000 --set data.batch=2 --set network.channels=1 --set network.cells=1 --set evaluation.every_steps=9000 \
                --set checkpoint.every_steps=50";
    let arguments = format!("train small.toml --out stopped {long}");
    let output = with_small_files(&shop, 600, &arguments);
    let told = [
        "the run in stopped stopped: cannot write stopped/steps.journal: the file would exceed the size limit; ",
        "raise it (ulimit -f) and try again with `crosstalk train --resume stopped`",
    ];
    assert_sentence(&arguments, &output, &told);
    let before: Vec<StepRecord> = Journal::read(&shop.path("stopped/steps.journal")).expect("a journal");
    assert!(before.iter().map(|row| row.step).eq(0..before.len() as u64));
    shop.run("train --resume stopped");
    let (resumed, whole) = (shop.recorded("stopped"), shop.train("whole", long));
    assert_eq!(resumed, whole);
    assert_eq!(resumed.steps[..before.len()], before);
}

/// Runs a shell script in a workshop where `disk` is a file system of so many KiB of its own; `None` where the system does not let
/// an ordinary user have one.
#[cfg(target_os = "linux")]
fn on_a_small_disk(shop: &Workshop, kibibytes: u32, script: &str) -> Option<Output> {
    let shell = |script: &str| {
        let mount = format!("mkdir -p disk && mount -t tmpfs -o size={kibibytes}k tmpfs disk && {{ {script}\n}}");
        let mut command = std::process::Command::new("unshare");
        command.current_dir(shop.path("")).args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount]);
        command.arg(env!("CARGO_BIN_EXE_crosstalk")).output()
    };
    shell("true").ok().filter(|output| output.status.success())?;
    Some(shell(script).expect("the shell starts"))
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_without_room_stops_the_run_and_names_what_goes_on_with_it() {
    // The first to find no room: a journal that grows, or a checkpoint.
    let small = "--set network.channels=1 --set network.cells=1 --set data.batch=2 --set evaluation.at_end=false \
                 --set evaluation.every_steps=9000";
    for (kibibytes, options, file) in [
        (200, format!("{small} --set steps=5000 --set checkpoint.every_steps=9000"), "steps.journal"),
        (300, "--set checkpoint.every_steps=1 --set checkpoint.keep_all=true".to_owned(), "replica-0.safetensors"),
    ] {
        let shop = Workshop::new();
        let begun = format!("\"$0\" train small.toml --out disk/run {options}; test $? -eq 1 || exit 3");
        let more = "mount -o remount,size=100m disk && \"$0\" train --resume disk/run && cp -r disk/run kept";
        let Some(output) = on_a_small_disk(&shop, kibibytes, &format!("{begun}\n{more}")) else {
            eprintln!("not tested: this system gives users no file system of their own");
            return;
        };
        let error = String::from_utf8(output.stderr).expect("text");
        assert!(output.status.success(), "{error}");
        assert!(error.starts_with("error: the run in disk/run stopped: cannot write disk/run/"), "{error}");
        assert!(error.contains(file) && error.lines().count() == 1, "{error}");
        let way_out = "the disk is full; free some space and try again with `crosstalk train --resume disk/run`\n";
        assert!(error.ends_with(way_out), "{error}");
        assert_eq!(shop.recorded("kept"), shop.train("whole", &options));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_that_finds_no_room_to_begin_leaves_no_folder() {
    let shop = Workshop::new();
    let script = "\"$0\" train small.toml --out disk/run; test $? -eq 1 && test ! -e disk/run";
    if let Some(output) = on_a_small_disk(&shop, 8, script) {
        let error = String::from_utf8(output.stderr).expect("text");
        assert!(output.status.success() && error.ends_with("free some space and try again\n"), "{error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_too_full_for_results_leaves_the_run_as_it_was() {
    let shop = Workshop::new();
    shop.train("run", "");
    let before = files(&shop.path("run"));
    for arguments in ["eval run --out run/results.parquet", "interfere run --children every:4 --out results"] {
        let output = with_small_files(&shop, 1, arguments);
        assert_sentence(arguments, &output, &["cannot write", "size limit"]);
    }
    assert_eq!(files(&shop.path("run")), before);
}

/// Runs the program with a pipe as standard output that nobody reads.
fn unread(shop: &Workshop, arguments: &str) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = shop.command(arguments).stdout(Stdio::from(writer)).output().expect("the program starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "crosstalk {arguments}: {error}");
}

#[test]
fn a_closed_standard_output_stops_nothing() {
    let shop = Workshop::new();
    let whole = shop.train("whole", "");
    unread(&shop, "train small.toml --out run");
    assert_eq!(shop.recorded("run"), whole);
    for arguments in [
        "--help",
        "train small.toml --print-config",
        "space list",
        "space show zhang64",
        "data list",
        "data inspect digits",
        "eval run --children every:2",
        "interfere run --children every:2",
        &format!("weights inspect run/{CHECKPOINT}"),
        &format!("weights diff run/{CHECKPOINT} run/{CHECKPOINT}"),
    ] {
        unread(&shop, arguments);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_an_error_but_the_run_is_stored() {
    let shop = Workshop::new();
    let whole = shop.train("whole", "");
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").expect("a device"));
    for arguments in ["space list", "train small.toml --out run"] {
        let output = shop.command(arguments).stdout(full()).output().expect("the program starts");
        assert_sentence(arguments, &output, &["not everything could be printed", "No space left"]);
    }
    assert_eq!(shop.recorded("run"), whole);
}
