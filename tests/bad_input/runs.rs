//! Run folders, checkpoints and weights.

use crate::common::command::Workshop;
use crate::{CHECKPOINT, files, half, not_begun, refused};
use crosstalk::records::{Journal, StepRecord};
use crosstalk::tensors::TensorFile;

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
