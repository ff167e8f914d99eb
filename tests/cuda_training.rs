//! Runs of the program on the kernels for GPUs, which the emulator executes: the same bits in two runs, packed, and resumed; close to the CPU.
#![cfg(unix)]

mod common;

use common::command::{DARTS, NASBENCH201, Recorded, SEARCH, Workshop};

/// Small enough for the emulator, whose every access is checked.
const TINY: &str = "--device emulator --set steps=3 --set data.batch=6 --set data.train_images=30 --set network.channels=4 \
                    --set checkpoint.every_steps=2 --set evaluation.every_steps=1000 --set evaluation.children=every:32 \
                    --set evaluation.norm=[\"running\",\"batch\"] --set data.evaluation_images=8";

#[test]
fn two_runs_leave_the_same_bits() {
    let one = "--set evaluation.children=sample:1 --set steps=2";
    for (options, precision) in [
        (TINY.to_owned(), "bf16"),
        (format!("{NASBENCH201} {TINY} {one}"), "f32"),
        (format!("{DARTS} {TINY} {one}"), "bf16"),
        (format!("{SEARCH} {TINY} --set steps=2 --set evaluation.children=derived"), "f32"),
    ] {
        let options = format!("{options} --set precision={precision}");
        let shop = Workshop::new();
        assert_eq!(shop.train("first", &options), shop.train("second", &options), "{options}");
    }
}

#[test]
fn replicas_side_by_side_are_as_they_would_be_alone() {
    for precision in ["f32", "bf16"] {
        let options = format!("{TINY} --set precision={precision}");
        let shop = Workshop::new();
        let packed = shop.train("packed", &format!("{options} --set replicas=2 --set seed.base=5"));
        for replica in 0..2 {
            let alone = shop.train(&format!("alone-{replica}"), &format!("{options} --set seed.base={}", 5 + replica));
            assert_eq!(packed.replica_hashes[replica], alone.state_hash, "replica {replica}, {precision}");
        }
        assert_ne!(packed.replica_hashes[0], packed.replica_hashes[1]);
    }
}

#[test]
fn a_longer_run_is_gone_on_with_on_the_emulator_alone() {
    let shop = Workshop::new();
    shop.train("run", TINY);
    let error = shop
        .refused("train --from run/checkpoints/step-2.safetensors small.toml --device cuda:9 --steps 1 --out other");
    assert!(error.contains("driver") || error.contains("GPU"), "{error}");
}

#[test]
fn losses_are_those_of_the_cpu_until_roundings_part_them() {
    let shop = Workshop::new();
    let emulated = shop.train("emulated", TINY);
    let on_cpu = shop.train("cpu", &TINY.replace("--device emulator", "--device cpu"));
    let bf16 = shop.train("bf16", &format!("{TINY} --set precision=bf16"));
    let losses = |run: &Recorded| -> Vec<f64> { run.steps.iter().map(|row| row.loss).collect() };
    for (step, ((emulated, on_cpu), bf16)) in
        losses(&emulated).into_iter().zip(losses(&on_cpu)).zip(losses(&bf16)).enumerate()
    {
        // docs/numerics.md: 1e-6 at first, then curves in f32 part by what a flipped ReLU does. bf16 keeps eight bits.
        let bound = if step == 0 { 1e-6 } else { 1e-2 };
        assert!((emulated - on_cpu).abs() <= bound * on_cpu, "step {step}: {emulated}, on the CPU {on_cpu}");
        assert!((bf16 - on_cpu).abs() <= 5e-2 * on_cpu, "step {step}: {bf16} in bf16, on the CPU {on_cpu}");
        assert_ne!(bf16, emulated, "step {step}: bf16 rounds");
    }
}

#[test]
fn precisions_that_a_device_lacks_are_refused() {
    let shop = Workshop::new();
    for (options, part) in [
        ("--device cpu --set precision=bf16", "the CPU backend computes in f32, but precision = \"bf16\""),
        ("--device emulator --set precision=f64", "computes in f32 or bf16, but precision = \"f64\""),
        ("--device emulator --simd avx2", "--simd chooses the instruction set of the CPU backend"),
    ] {
        let error = shop.refused(&format!("train small.toml {options} --out run"));
        assert!(error.contains(part), "{options}: {error}");
    }
}

/// Before the first step, not in its midst.
#[test]
fn a_stem_that_no_kernel_can_run_is_refused() {
    let zhang64 = include_str!("../spaces/zhang64.toml");
    let stem = "operation = \"convolution\", kernel = 3, channels = 3, weights = [\"net.stem.0\"]";
    let separable =
        "operation = \"depthwise_separable\", kernel = 3, channels = 3, weights = [\"net.stem.0\", \"net.stem.1b\"]";
    assert!(zhang64.contains(stem));
    let shop = Workshop::new();
    std::fs::write(shop.path("space.toml"), zhang64.replace(stem, separable)).expect("a file");
    let error = shop.refused(&format!("train small.toml {TINY} --set network.space=space.toml --out run"));
    assert!(error.contains("reads the network's input, which on a GPU only convolutions can"), "{error}");
    assert!(!shop.path("run").exists(), "refused before it began");
}
