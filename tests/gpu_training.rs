//! Training on a GPU, where asked for: the same bits again and beside other replicas, and the CPU's losses. The emulator's runs are in
//! `tests/cuda_training.rs`.

mod common;

use common::command::{DARTS, NASBENCH201, Recorded, Workshop, searches};

/// Largest relative difference of a loss from the CPU's: of the first step, whose weights are the same (docs/numerics.md), and of the three
/// after it, as updates at a rate of 0.1 spread what was rounded differently.
const F32: [f64; 2] = [1e-6, 1e-2];
/// bf16 keeps eight bits. Later losses are printed and not judged: on the emulator, with mini-batches of 4, they are up to 8e-2 away.
const BF16: [f64; 2] = [1e-2, f64::INFINITY];

/// Every kind of stage: children of all spaces, and a search.
fn configurations() -> Vec<String> {
    let [mixture, ..] = searches();
    ["", NASBENCH201, DARTS].map(str::to_owned).into_iter().chain([mixture]).collect()
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_two_runs_leave_the_same_bits() {
    for options in configurations() {
        for precision in ["f32", "bf16"] {
            let shop = Workshop::new();
            let options = format!("{options} --device cuda --set precision={precision}");
            let first = shop.train("first", &options);
            assert_eq!(first, shop.train("second", &options), "{options}");
            println!("{options}: state {}", first.state_hash);
        }
    }
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_a_replica_does_not_depend_on_its_neighbors() {
    let shop = Workshop::new();
    let packed = shop.train("packed", "--device cuda --set replicas=3 --set seed.base=5");
    assert_ne!(packed.replica_hashes[0], packed.replica_hashes[1]);
    for (replica, hash) in packed.replica_hashes.iter().enumerate() {
        let alone = shop.train(&format!("alone-{replica}"), &format!("--device cuda --set seed.base={}", 5 + replica));
        assert_eq!(*hash, alone.state_hash, "replica {replica}");
        println!("replica {replica}: state {hash}, packed and alone");
    }
}

/// Largest relative difference of the losses of the first step, and of the three after it.
fn differences(ours: &Recorded, cpu: &Recorded) -> [f64; 2] {
    let mut worst = [0.0_f64; 2];
    assert_eq!(ours.steps.len(), cpu.steps.len());
    for (ours, cpu) in ours.steps.iter().zip(&cpu.steps).filter(|(row, _)| row.step < 4) {
        assert_eq!((ours.step, &ours.child, ours.images), (cpu.step, &cpu.child, cpu.images));
        let error = (ours.loss - cpu.loss).abs() / cpu.loss;
        let which = usize::from(ours.step > 0);
        worst[which] = worst[which].max(error);
    }
    worst
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_losses_are_those_of_the_cpu() {
    for options in configurations() {
        let shop = Workshop::new();
        let cpu = shop.train("cpu", &format!("{options} --device cpu"));
        for (precision, bounds) in [("f32", F32), ("bf16", BF16)] {
            let ours = shop.train(precision, &format!("{options} --device cuda --set precision={precision}"));
            let found = differences(&ours, &cpu);
            println!("{options} in {precision}: losses differ by {:.1e}, later {:.1e}", found[0], found[1]);
            assert!(
                found[0] <= bounds[0] && found[1] <= bounds[1],
                "{options} in {precision}: {found:?} of {bounds:?}"
            );
        }
    }
}
