//! What a user or a file can get wrong: one clear sentence, a failing exit, earlier records whole.

use assert_cmd::Command;
use crosstalk::records::{Journal, StepRecord};
use std::path::Path;

/// Standard error of a command that must fail with one sentence.
fn error_of(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::cargo_bin("crosstalk").unwrap().current_dir(folder).args(arguments).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{arguments:?} succeeded");
    assert!(error.starts_with("error: "), "{arguments:?}: {error}");
    assert!(!error.contains("panicked") && !error.contains("RUST_BACKTRACE"), "{arguments:?}: {error}");
    error
}

fn assert_refused(folder: &Path, arguments: &[&str], sentence: &str) {
    let error = error_of(folder, arguments);
    assert!(error.contains(sentence), "{arguments:?}\n{error}expected: {sentence}");
}

fn train_three_steps(folder: &Path) {
    Command::cargo_bin("crosstalk")
        .unwrap()
        .current_dir(folder)
        .args(["train", "quick", "--steps", "3", "--set", "interference.children=\"111,444\"", "--out", "run"])
        .args(["--set", "evaluation.children=\"111\""])
        .assert()
        .success();
}

#[test]
fn wrong_configurations_are_refused_by_the_name_of_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("optimizer.learning_rat=1", "learning_rat"),
        ("optimizer.learning_rate=fast", "invalid type"),
        ("optimizer.learning_rate=-1", "`optimizer.learning_rate` must be a finite number"),
        ("step.order=[\"119\"]", "119"),
        ("step.order=[]", "`step.order` is an empty list"),
        ("evaluation.children=\"\"", "child"),
        ("data.mean=[0.1, 0.2]", "`data.mean` has 2 numbers, but the images have 1 channels"),
        ("network.classes=5", "10 classes, but network.classes = 5"),
        ("network.space=zhang65", "zhang65"),
        ("replicas=0", "`replicas` must be at least 1"),
        ("data.source=cifar10:nowhere", "nowhere"),
    ];
    for (assignment, sentence) in cases {
        assert_refused(folder.path(), &["train", "quick", "--set", assignment, "--out", "run"], sentence);
        assert!(!folder.path().join("run").exists(), "{assignment} left a run folder");
    }
    assert_refused(folder.path(), &["train", "quik"], "there is no preset `quik`");
    std::fs::write(folder.path().join("broken.toml"), "name = \n").unwrap();
    assert_refused(folder.path(), &["train", "broken.toml"], "broken.toml");
}

#[test]
fn an_existing_run_folder_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("run")).unwrap();
    std::fs::write(folder.path().join("run/mine.txt"), "mine").unwrap();
    assert_refused(folder.path(), &["train", "quick", "--steps", "1", "--out", "run"], "run");
    assert_eq!(std::fs::read_dir(folder.path().join("run")).unwrap().count(), 1);
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_keeps_the_steps_before() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["train", "quick", "--steps", "40", "--set", "optimizer.learning_rate=1e30", "--out", "run"];
    let error = error_of(folder.path(), &arguments);
    assert!(error.contains("the loss of child") && error.contains("lower optimizer.learning_rate"), "{error}");
    let step: u64 = error.split("step ").nth(1).unwrap().split(':').next().unwrap().parse().unwrap();
    let rows: Vec<StepRecord> = Journal::read(&folder.path().join("run/steps.journal")).unwrap();
    assert_eq!(rows.len() as u64, step);
    assert!(rows.iter().all(|row| row.loss.is_finite()));
}

#[test]
fn checkpoints_that_are_not_what_they_claim_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    train_three_steps(folder.path());
    let file = folder.path().join("run/checkpoints/step-00000003/replica-0.safetensors");
    let whole = std::fs::read(&file).unwrap();
    assert_refused(folder.path(), &["eval", "run", "--children", "119"], "119");
    assert_refused(folder.path(), &["eval", "nowhere"], "nowhere");
    assert_refused(folder.path(), &["train", "quick", "--from", "run", "--set", "network.channels=16"], "shape");
    assert_refused(folder.path(), &["train", "--resume", "run"], "has ended");
    std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    assert_refused(folder.path(), &["eval", "run"], "replica-0.safetensors is truncated or not a .safetensors file");
    let mut changed = whole.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    std::fs::write(&file, changed).unwrap();
    assert_refused(folder.path(), &["eval", "run"], "the file was changed or is damaged");
    std::fs::write(&file, "not tensors at all").unwrap();
    assert_refused(folder.path(), &["interfere", "run"], "replica-0.safetensors");
}

#[test]
fn a_full_disk_stops_the_run_with_a_sentence_and_the_run_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let program = assert_cmd::cargo::cargo_bin("crosstalk");
    let train = format!(
        "trap '' XFSZ; ulimit -f 120; exec {} train quick --set epochs=110 --set evaluation.at_end=false --out run",
        program.display()
    );
    let output = std::process::Command::new("bash").current_dir(&folder).args(["-c", &train]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.starts_with("error: ") && error.contains("steps.journal"), "{error}");
    let rows: Vec<StepRecord> = Journal::read(&folder.path().join("run/steps.journal")).unwrap();
    assert!(rows.len() > 100);
    Command::new(program).current_dir(&folder).args(["train", "--resume", "run"]).assert().success();
}

#[test]
fn a_closed_standard_output_is_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let program = assert_cmd::cargo::cargo_bin("crosstalk");
    for arguments in ["space list", "data list", "train quick --steps 2 --set evaluation.at_end=false --out run"] {
        let line = format!("{} {arguments} | true", program.display());
        let output = std::process::Command::new("bash").current_dir(&folder).args(["-c", &line]).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!error.contains("panicked"), "{arguments}: {error}");
    }
}
