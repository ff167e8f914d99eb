//! What is larger than can be held.

use crate::common::command::Workshop;
use crate::not_begun;
#[cfg(target_os = "linux")]
use crate::{assert_sentence, files, names, refused};
#[cfg(target_os = "linux")]
use crosstalk::train::available_bytes;

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
