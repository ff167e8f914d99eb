//! A replica's bits do not depend on the replicas beside it, nor on how many lanes run together.

mod common;

use common::command::{DARTS, NASBENCH201, Recorded, Workshop, searches};

/// Trains three replicas side by side, with more or fewer threads (and so lanes in a wave) than lanes, and each alone.
fn three_replicas_are_as_they_would_be_alone(options: &str) {
    let shop = Workshop::new();
    let packed = shop.train("packed", &format!("{options} --set replicas=3 --set seed.base=5 --threads 2"));
    let other_waves = shop.train("waves", &format!("{options} --set replicas=3 --set seed.base=5 --threads 5"));
    assert_eq!(packed, other_waves);
    assert_eq!(packed.replica_hashes.len(), 3);
    for replica in 0..3_u32 {
        let seed = 5 + replica;
        let alone = shop.train(&format!("alone-{replica}"), &format!("{options} --set seed.base={seed} --threads 1"));
        let part = part(&packed, replica);
        assert_eq!(part.replica_hashes, alone.replica_hashes, "replica {replica}");
        assert_eq!(part.steps, alone.steps, "replica {replica}");
        assert_eq!(part.accuracy, alone.accuracy, "replica {replica}");
        assert_eq!(part.alphas, alone.alphas, "replica {replica}");
    }
    assert_ne!(packed.replica_hashes[0], packed.replica_hashes[1]);
}

/// One replica's records, as a run of its own would number them.
fn part(packed: &Recorded, replica: u32) -> Recorded {
    let mut steps: Vec<_> = packed.steps.iter().filter(|row| row.replica == replica).cloned().collect();
    let mut accuracy: Vec<_> = packed.accuracy.iter().filter(|row| row.replica == replica).cloned().collect();
    steps.iter_mut().for_each(|row| row.replica = 0);
    let mut alphas: Vec<_> = packed.alphas.iter().filter(|row| row.replica == replica).cloned().collect();
    accuracy.iter_mut().for_each(|row| row.replica = 0);
    alphas.iter_mut().for_each(|row| row.replica = 0);
    let replica_hashes = vec![packed.replica_hashes[replica as usize].clone()];
    Recorded { state_hash: replica_hashes[0].clone(), replica_hashes, steps, accuracy, alphas }
}

#[test]
fn a_replica_that_cycles_does_not_depend_on_its_neighbors() {
    three_replicas_are_as_they_would_be_alone("");
}

#[test]
fn a_replica_of_several_lanes_does_not_depend_on_its_neighbors() {
    let uniform = "--set step.children=uniform --set step.order=lexicographic --set step.lanes=3";
    three_replicas_are_as_they_would_be_alone(uniform);
}

#[test]
fn a_replica_of_lanes_with_mini_batches_of_their_own_does_not_depend_on_its_neighbors() {
    let uniform = "--set step.children=uniform --set step.order=lexicographic --set step.lanes=3";
    three_replicas_are_as_they_would_be_alone(&format!("{uniform} --set step.minibatch=independent"));
}

#[test]
fn a_replica_of_nasbench201_does_not_depend_on_its_neighbors() {
    three_replicas_are_as_they_would_be_alone(NASBENCH201);
}

#[test]
fn a_replica_that_searches_does_not_depend_on_its_neighbors() {
    searches().iter().for_each(|options| three_replicas_are_as_they_would_be_alone(options));
}

#[test]
fn a_replica_of_darts_does_not_depend_on_its_neighbors() {
    three_replicas_are_as_they_would_be_alone(DARTS);
}

#[test]
fn a_fair_replica_does_not_depend_on_its_neighbors() {
    three_replicas_are_as_they_would_be_alone("--set step.children=fair --set step.order=lexicographic --steps 8");
}

#[test]
fn a_replica_with_private_weights_does_not_depend_on_its_neighbors() {
    three_replicas_are_as_they_would_be_alone("--set network.sharing.prefix=1 --set optimizer.clip_norm=2.0");
}
