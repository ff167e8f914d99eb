//! A run takes the memory that it said it would, before it took any.

mod common;

use common::command::Workshop;
use crosstalk::rng::{Purpose, Stream};

/// Random images in the format of CIFAR-10, 256 to train on and 64 to evaluate.
const LARGE: &str = r#"
name = "large"
steps = 2
[network]
space = "zhang64"
channels = 16
cells = 2
[data]
source = "cifar10:images.bin"
batch = 256
train_images = 256
evaluation_images = 64
[evaluation]
children = "every:2"
"#;

fn workshop() -> Workshop {
    const IMAGES: u32 = 720;
    const RECORD_BYTES: usize = 1 + 3 * 32 * 32;
    let mut stream = Stream::new(0, Purpose::Recalibration, 0, 0);
    let mut bytes = Vec::with_capacity(IMAGES as usize * RECORD_BYTES);
    for image in 0..IMAGES {
        bytes.push((image % 10) as u8);
        bytes.extend((1..RECORD_BYTES).map(|_| stream.bounded(256) as u8));
    }
    let shop = Workshop::new();
    std::fs::write(shop.path("images.bin"), bytes).expect("a file");
    std::fs::write(shop.path("large.toml"), LARGE).expect("a file");
    shop
}

/// The number before `MiB` after `label`.
fn mebibytes(printed: &str, label: &str) -> f64 {
    let after = printed.split_once(label).unwrap_or_else(|| panic!("no `{label}` in {printed}")).1;
    after.trim_start().split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// The peak is at most 1.2 times the plan, and the plan at most 1.5 times the peak.
fn takes_what_it_planned(arguments: &str, least: f64) {
    let printed = workshop().run(&format!("train large.toml --out run {arguments}"));
    let (planned, peak) = (mebibytes(&printed, "Planned memory"), mebibytes(&printed, "Peak memory"));
    println!("{arguments}: planned {planned} MiB, peak {peak} MiB");
    assert!(peak > least, "{arguments}: a peak of {peak} MiB is too small for this test");
    assert!(peak <= 1.2 * planned, "{arguments}: peak {peak} MiB, planned {planned} MiB");
    assert!(planned <= 1.5 * peak, "{arguments}: peak {peak} MiB, planned {planned} MiB");
}

#[test]
fn one_lane_of_a_large_mini_batch_takes_what_was_planned() {
    takes_what_it_planned("--threads 2", 200.0);
}

#[test]
fn lanes_side_by_side_take_what_was_planned() {
    takes_what_it_planned("--threads 2 --set step.children=fair --set data.batch=48", 80.0);
}

#[test]
fn replicas_side_by_side_take_what_was_planned() {
    takes_what_it_planned("--threads 4 --set replicas=3 --set data.batch=48 --set step.order=reshuffled", 80.0);
}

#[test]
fn one_thread_with_many_replicas_takes_what_was_planned() {
    takes_what_it_planned("--threads 1 --set replicas=6 --set data.batch=96 --steps 1", 80.0);
}

#[test]
fn an_evaluation_larger_than_training_takes_what_was_planned() {
    let large = "--set evaluation.batch=256 --set data.evaluation_images=72 --set data.batch=8";
    takes_what_it_planned(&format!("{large} --set data.train_images=64 --set evaluation.children=every:16"), 30.0);
}

#[test]
fn recalibration_takes_what_was_planned() {
    let regimes = "--set evaluation.norm=[\"recalibrated\",\"batch\"] --set evaluation.recalibration_batches=2";
    takes_what_it_planned(&format!("{regimes} --set data.batch=64 --steps 1"), 50.0);
}

#[test]
fn interference_and_its_plots_take_what_was_planned() {
    takes_what_it_planned("--set interference.children=every:2 --set data.batch=96 --steps 1", 80.0);
}

#[test]
fn the_mixture_of_a_search_takes_what_was_planned() {
    let mixture = "--set step.children=mixture --set network.cells=1 --set evaluation.children=derived";
    takes_what_it_planned(&format!("{mixture} --threads 2 --set data.batch=48"), 100.0);
}

const NASBENCH201: &str = "--set network.space=nasbench201 --set network.cells=1";
const DARTS: &str = "--set network.space=darts --set network.cells=3";
const UNIFORM: &str = "--set step.children=uniform --set step.order=lexicographic";

#[test]
fn lanes_of_the_other_spaces_take_what_was_planned() {
    let lanes = format!("{UNIFORM} --threads 2 --set step.lanes=2");
    takes_what_it_planned(&format!("{NASBENCH201} {lanes} --set data.batch=128"), 80.0);
    takes_what_it_planned(&format!("{DARTS} {lanes} --set data.batch=48"), 80.0);
}

#[test]
fn replicas_of_the_other_spaces_take_what_was_planned() {
    let replicas = format!("{UNIFORM} --threads 4 --set replicas=3");
    takes_what_it_planned(&format!("{NASBENCH201} {replicas} --set data.batch=64"), 80.0);
    takes_what_it_planned(&format!("{DARTS} {replicas} --set data.batch=24"), 80.0);
}

#[test]
fn mixtures_of_the_other_spaces_take_what_was_planned() {
    let mixture =
        "--threads 2 --set step.children=mixture --set step.order=lexicographic --set evaluation.children=derived";
    takes_what_it_planned(&format!("{NASBENCH201} {mixture} --set data.batch=64"), 100.0);
    takes_what_it_planned(&format!("{DARTS} {mixture} --set data.batch=16"), 100.0);
}

#[test]
fn evaluations_of_the_other_spaces_take_what_was_planned() {
    let large =
        "--set evaluation.batch=256 --set data.evaluation_images=72 --set data.batch=8 --set data.train_images=64";
    takes_what_it_planned(&format!("{NASBENCH201} {UNIFORM} {large} --set evaluation.children=sample:8"), 30.0);
    takes_what_it_planned(&format!("{DARTS} {UNIFORM} {large} --set evaluation.children=sample:4"), 30.0);
}

#[test]
fn the_reference_takes_what_was_planned() {
    let small = "--set data.batch=12 --set data.train_images=24 --set data.evaluation_images=8 --steps 1";
    takes_what_it_planned(&format!("--set precision=f64 --set network.cells=1 {small}"), 30.0);
}

#[test]
fn a_small_run_takes_what_was_planned() {
    takes_what_it_planned("--data digits --set data.batch=16 --set network.channels=8 --steps 100", 5.0);
}
