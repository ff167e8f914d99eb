//! Sharing policies: which weights a step on one child moves.

mod common;

use common::command::{SMALL, Workshop};
use crosstalk::backend::cpu::Cpu;
use crosstalk::backend::host::Host;
use crosstalk::network::ParameterRef;
use crosstalk::network::Place;
use crosstalk::records::StepRecord;
use crosstalk::simd::Level;
use crosstalk::space::Child;
use crosstalk::tensors::TensorFile;
use crosstalk::train::config::from_text;
use crosstalk::train::{Setup, Trainer};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

const CHILDREN: [&str; 3] = ["111", "142", "434"];

/// Writes mini-batch lists, as `data.batches` reads them.
fn write_batches(shop: &Workshop, name: &str, batches: &[Vec<u32>]) {
    let mut text = "step,position,image\n".to_owned();
    for (step, images) in batches.iter().enumerate() {
        for (position, image) in images.iter().enumerate() {
            writeln!(text, "{step},{position},{image}").expect("text");
        }
    }
    std::fs::write(shop.path(name), text).expect("a file");
}

/// Weights, buffers and momentum in a run's checkpoint that are one child's own, under their names without the child.
fn own_tensors(shop: &Workshop, run: &str, steps: u64, child: Option<&str>) -> BTreeMap<String, Vec<f64>> {
    let path = shop.path(run).join(format!("checkpoints/step-{steps:08}/replica-0.safetensors"));
    let tensors = TensorFile::read(&path).expect("a checkpoint").tensors;
    let own = tensors.into_iter().filter_map(|(name, tensor)| {
        let name = match child {
            Some(child) => name.strip_suffix(&format!("@{child}"))?.to_owned(),
            None => name,
        };
        Some((name, tensor.values.iter_f64().collect()))
    });
    own.collect()
}

/// One replica that shares nothing, its children in turns, against one run for each child that sees the same mini-batches.
fn sharing_nothing_is_training_alone(options: &str) {
    let shop = Workshop::new();
    let constant = format!(
        "{options} --set optimizer.schedule=constant --set data.order=explicit --set augmentation.crop_padding=0 --set augmentation.flip=false"
    );
    let batches: Vec<Vec<u32>> =
        (0..12).map(|step| (0..9 + step % 4).map(|position| (step * 17 + position * 5) % 100).collect()).collect();
    write_batches(&shop, "all.csv", &batches);
    let list = CHILDREN.join(",");
    let together = shop.train(
        "together",
        &format!(
            "{constant} --children {list} --set network.sharing=none --set data.batches=all.csv --set evaluation.children={list}"
        ),
    );
    for (number, child) in CHILDREN.iter().enumerate() {
        let own: Vec<Vec<u32>> = batches.iter().skip(number).step_by(3).cloned().collect();
        write_batches(&shop, "own.csv", &own);
        // A child alone in its supernet shares with nobody; text in quotes, so that it is no number.
        let alone = shop.train(
            child,
            &format!(
                "{constant} --children {child} --steps 4 --set data.batches=own.csv --set evaluation.children=\"{child}\""
            ),
        );
        let of_child = |row: &&StepRecord| row.child.as_deref() == Some(*child);
        let losses = |rows: &[StepRecord]| -> Vec<(f64, f64, u32)> {
            rows.iter().filter(of_child).map(|row| (row.loss, row.accuracy, row.images)).collect()
        };
        assert_eq!(losses(&alone.steps).len(), 4);
        assert_eq!(losses(&alone.steps), losses(&together.steps), "child {child}");
        let evaluated = |rows: &[crosstalk::records::AccuracyRecord], step: u64| -> Vec<(String, f64, u32)> {
            let rows = rows.iter().filter(|row| row.child == *child && row.step == step && row.norm != "recalibrated");
            rows.map(|row| (row.norm.clone(), row.loss, row.correct)).collect()
        };
        assert_eq!(evaluated(&alone.accuracy, 4).len(), 2);
        assert_eq!(evaluated(&alone.accuracy, 4), evaluated(&together.accuracy, 12), "child {child}");
        let private = own_tensors(&shop, "together", 12, Some(child));
        let stand_alone = own_tensors(&shop, child, 4, None);
        assert!(private.len() > 20);
        for (name, values) in &private {
            assert_eq!(Some(values), stand_alone.get(name), "{name} of child {child}");
        }
    }
}

#[test]
fn sharing_nothing_is_training_alone_with_decay() {
    sharing_nothing_is_training_alone("--set optimizer.unsampled=decay");
}

#[test]
fn sharing_nothing_is_training_alone_with_skipping() {
    sharing_nothing_is_training_alone("--set optimizer.unsampled=skip --set optimizer.clip_norm=0.5");
}

#[test]
fn sharing_nothing_is_training_alone_with_nesterov() {
    sharing_nothing_is_training_alone("--set optimizer.nesterov=true");
}

fn trainer(options: &[&str]) -> Trainer<Host<Cpu>> {
    let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    let config = from_text(SMALL, "small", &options).expect("a configuration");
    let setup = Arc::new(Setup::new(config).expect("a set-up"));
    Trainer::new(setup, Host::new(Cpu::new(Level::detect()))).expect("a trainer")
}

/// Steps over three children whose stem and first cell are shared; every step may move that child's copies and shared weights.
fn a_step_leaves_private_copies_of_other_children(unsampled: &str) {
    let unsampled = format!("optimizer.unsampled={unsampled}");
    let order = format!("step.order={CHILDREN:?}");
    let mut trainer = trainer(&["network.sharing.prefix=1", &order, &unsampled]);
    let model = trainer.setup.model.clone();
    let children: Vec<Child> = CHILDREN.iter().map(|c| model.network.space.parse_child(c).expect("a child")).collect();
    for (id, parameter) in model.network.parameters.iter().enumerate() {
        let shared = match parameter.place {
            Place::Stem => true,
            Place::Cell(cell) => cell < 1,
            Place::Head => false,
        };
        let users: Vec<&Child> = children.iter().filter(|child| model.network.uses(child, id)).collect();
        let mut copies: Vec<u32> = users.iter().map(|child| model.copies.of(id, child)).collect();
        copies.dedup();
        let expected = if shared { usize::from(!users.is_empty()) } else { users.len() };
        assert_eq!(copies.len(), expected, "{} of {} children", parameter.name, users.len());
        assert_eq!(model.copies.is_shared(id), shared, "{}", parameter.name);
    }
    for step in 0..9 {
        let stepped = &children[step % 3];
        let before = trainer.replicas[0].state.clone();
        trainer.step().expect("a step");
        let after = &trainer.replicas[0].state;
        for (id, parameter) in model.network.parameters.iter().enumerate() {
            for copy in 0..model.copies.count(id) {
                let number = model.layout.number(ParameterRef { parameter: id, copy });
                let moved = after.weights.get(id, copy) != before.weights.get(id, copy)
                    || after.momentum.get(id, copy) != before.momentum.get(id, copy)
                    || after.batches_tracked[number] != before.batches_tracked[number];
                let uses = model.network.uses(stepped, id);
                let name = &parameter.name;
                if model.copies.is_shared(id) {
                    assert!(moved || !uses, "step {step} leaves the shared {name}");
                } else {
                    let own = model.copies.owner(id, copy) == Some(stepped);
                    assert_eq!(moved, own, "step {step}: copy {copy} of {name}");
                }
            }
        }
    }
}

#[test]
fn a_step_leaves_private_copies_of_other_children_with_decay() {
    a_step_leaves_private_copies_of_other_children("decay");
}

#[test]
fn a_step_leaves_private_copies_of_other_children_with_skipping() {
    a_step_leaves_private_copies_of_other_children("skip");
}

#[test]
fn private_copies_start_equal() {
    let order = format!("step.order={CHILDREN:?}");
    let trainer = trainer(&["network.sharing=none", &order]);
    let (model, state) = (&trainer.setup.model, &trainer.replicas[0].state);
    for (id, parameter) in model.network.parameters.iter().enumerate() {
        for copy in 1..model.copies.count(id) {
            assert_eq!(state.weights.get(id, copy), state.weights.get(id, 0), "copy {copy} of {}", parameter.name);
        }
    }
}
