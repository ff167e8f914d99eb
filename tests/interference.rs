//! The interference matrix against the same numbers made by hand: train a step from the checkpoint, then evaluate.

mod common;

use common::command::{Workshop, rows};
use crosstalk::backend::cpu::Cpu;
use crosstalk::backend::host::{Host, update};
use crosstalk::records::{AccuracyRecord, InterferenceRecord};
use crosstalk::simd::Level;
use crosstalk::study::{Measure, measure};
use crosstalk::train::config::{NormRegime, from_text};
use crosstalk::train::{Evaluator, Setup, Trainer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CHILDREN: [&str; 3] = ["111", "142", "434"];
const NORMS: &str = "running,batch,recalibrated";

/// Loss and accuracy of each child under each regime.
type Scores = BTreeMap<(String, String), (f64, f64)>;

fn evaluated(shop: &Workshop, run: &str) -> Scores {
    let out = format!("{run}.scores.parquet");
    shop.run(&format!("eval {run} --children {} --norm {NORMS} --out {out}", CHILDREN.join(",")));
    let rows: Vec<AccuracyRecord> = rows(&shop.path(&out));
    rows.into_iter().map(|row| ((row.child, row.norm), (row.loss, row.accuracy))).collect()
}

/// Every file below a folder and its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else {
            files.insert(path.clone(), std::fs::read(&path).expect("a file"));
        }
    }
    files
}

/// Trains a run, measures it, and compares every entry with the one made by hand.
fn measured_is_as_by_hand(options: &str) {
    measured_is_as_by_hand_unless(options, |_, _| false);
}

/// Likewise, where a step on one child leaves some others as they were.
fn measured_is_as_by_hand_unless(options: &str, unmoved: impl Fn(&str, &str) -> bool) {
    let shop = Workshop::new();
    shop.train("run", options);
    let before = contents(&shop.path("run"));
    shop.run(&format!("interfere run --children {} --norm {NORMS} --out measured", CHILDREN.join(",")));
    assert_eq!(contents(&shop.path("run")), before, "measuring changed the run");

    let measured: Vec<InterferenceRecord> = rows(&shop.path("measured/interference/step-00000012.parquet"));
    assert_eq!(measured.len(), 3 * (3 + 1) * 3);
    let start = evaluated(&shop, "run");
    for stepped in CHILDREN {
        let run = format!("after-{stepped}");
        shop.run(&format!("train --from run --children {stepped} --steps 1 --out {run}"));
        let after = evaluated(&shop, &run);
        let row: Vec<&InterferenceRecord> =
            measured.iter().filter(|entry| entry.stepped_child.as_deref() == Some(stepped)).collect();
        assert_eq!(row.len(), 3 * 3);
        for entry in row {
            let key = (entry.evaluated_child.clone(), entry.norm.clone());
            let (loss_before, accuracy_before) = start[&key];
            let (loss_after, accuracy_after) = after[&key];
            assert_eq!((entry.loss_before, entry.accuracy_before), (loss_before, accuracy_before), "{key:?}");
            assert_eq!((entry.loss_after, entry.accuracy_after), (loss_after, accuracy_after), "{stepped}, {key:?}");
            assert_eq!(entry.loss_change, loss_after - loss_before);
            assert_eq!(entry.accuracy_change, accuracy_after - accuracy_before);
            let moved = entry.loss_change != 0.0;
            assert_eq!(moved, !unmoved(stepped, &key.0), "a step on {stepped}, {key:?}: {}", entry.loss_change);
        }
    }
}

#[test]
fn the_matrix_is_as_by_hand_with_a_cosine_momentum_and_augmentation() {
    measured_is_as_by_hand("--set optimizer.schedule_unit=step");
}

#[test]
fn the_matrix_is_as_by_hand_without_momentum_and_with_skipping() {
    measured_is_as_by_hand("--set optimizer.momentum=0 --set optimizer.unsampled=skip --set optimizer.nesterov=false");
}

#[test]
fn the_matrix_is_as_by_hand_where_steps_have_lanes_with_mini_batches_of_their_own() {
    let lanes = "--set step.children=uniform --set step.order=lexicographic --set step.lanes=3";
    measured_is_as_by_hand(&format!("{lanes} --set step.minibatch=independent"));
}

#[test]
fn the_matrix_is_as_by_hand_after_fair_steps_with_clipping_and_nesterov() {
    let fair = "--set step.children=fair --set step.order=lexicographic";
    measured_is_as_by_hand(&format!("{fair} --set optimizer.clip_norm=0.5 --set optimizer.nesterov=true"));
}

#[test]
fn the_matrix_is_as_by_hand_where_children_share_a_prefix_alone() {
    let order = "--set step.order=[\"111\",\"142\",\"434\"] --set evaluation.children=111,142,434";
    measured_is_as_by_hand(&format!("{order} --set network.sharing.prefix=1"));
}

#[test]
fn children_that_share_nothing_do_not_interfere() {
    let order = "--set step.order=[\"111\",\"142\",\"434\"] --set evaluation.children=111,142,434";
    measured_is_as_by_hand_unless(&format!("{order} --set network.sharing=none"), |stepped, other| stepped != other);
}

/// A trainer after a few steps on the given children.
fn trained(unsampled: &str) -> Trainer<Host<Cpu>> {
    let options = ["steps=6".to_owned(), format!("optimizer.unsampled={unsampled}")];
    let config = from_text(common::command::SMALL, "small", &options).expect("a configuration");
    let setup = Arc::new(Setup::new(config).expect("a set-up"));
    let mut trainer = Trainer::new(setup, Host::new(Cpu::new(Level::detect()))).expect("a trainer");
    for _ in 0..6 {
        trainer.step().expect("a step");
    }
    trainer
}

fn changes(trainer: &mut Trainer<Host<Cpu>>) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let children = trainer.setup.children("children", &CHILDREN.join(",")).expect("children");
    let evaluator = Evaluator::new(&trainer.setup, children);
    let before = trainer.hash().expect("a device that works");
    let matrix = measure(trainer, 0, &evaluator, &[NormRegime::Running], &mut |_| {}).expect("a matrix");
    assert_eq!(trainer.hash().expect("a device that works"), before, "measuring changed the state");
    (matrix.changes(0, Measure::Loss), matrix.changes(0, Measure::Accuracy))
}

#[test]
fn the_zero_row_is_a_step_with_gradient_zero_that_leaves_the_buffers() {
    let mut trainer = trained("decay");
    let rate = trainer.last_rate.expect("a rate");
    let setup = trainer.setup.clone();
    let sgd = setup.config.optimizer.sgd();
    let evaluator = Evaluator::new(&setup, setup.children("children", &CHILDREN.join(",")).expect("children"));
    let (losses, _) = changes(&mut trainer);

    // A gradient of zero for every parameter that has had one.
    let replica = &trainer.replicas[0];
    let mut state = replica.state.clone();
    let mut gradients = Vec::new();
    for parameter in 0..setup.model.network.parameters.len() {
        let reference = crosstalk::network::ParameterRef { parameter, copy: 0 };
        if state.started[setup.model.layout.number(reference)] {
            gradients.push((reference, vec![0.0; setup.model.layout.range(parameter, 0).len()]));
        }
    }
    assert!(!gradients.is_empty());
    update(&sgd, &setup.model, &mut state, gradients, rate);
    let evaluate = |state| {
        evaluator
            .evaluate(&trainer.backend, state, NormRegime::Running, replica.data_seed)
            .expect("a device that works")
    };
    let by_hand: Vec<f64> = evaluate(&state)
        .iter()
        .zip(evaluate(&replica.state))
        .map(|(after, before)| after.loss() - before.loss())
        .collect();
    assert_eq!(losses[CHILDREN.len()], by_hand);
    assert!(by_hand.iter().all(|change| *change != 0.0), "momentum and weight decay move every child");

    for (parameter, of) in
        setup.model.network.parameters.iter().enumerate().filter(|(_, p)| p.name.contains("running_"))
    {
        let (after, before) = (state.weights.get(parameter, 0), replica.state.weights.get(parameter, 0));
        assert_eq!(after, before, "{}", of.name);
    }
}

#[test]
fn the_zero_row_is_zero_where_unsampled_parameters_are_skipped() {
    let (losses, accuracies) = changes(&mut trained("skip"));
    assert_eq!(losses[CHILDREN.len()], [0.0; 3]);
    assert_eq!(accuracies[CHILDREN.len()], [0.0; 3]);
    assert_ne!(losses[0], [0.0; 3]);
}
