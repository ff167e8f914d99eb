//! The quick preset, as a user runs it.

use assert_cmd::Command;
use crosstalk::records::{AccuracyRecord, read_parquet};

#[test]
fn train_quick_ranks_all_children_measures_interference_and_learns_the_digits() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        Command::cargo_bin("crosstalk").unwrap().current_dir(&folder).args(["train", "quick"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let run = folder.path().join("runs/quick");
    let rows: Vec<AccuracyRecord> = read_parquet(&run.join("accuracy.parquet")).unwrap();
    let best = |norm: &str| {
        let accuracies = rows.iter().filter(|row| row.norm == norm).map(|row| row.accuracy);
        assert_eq!(accuracies.clone().count(), 64, "{norm}");
        accuracies.fold(0.0, f64::max)
    };
    assert!(best("batch") > 0.9 && best("recalibrated") > 0.9, "{} {}", best("batch"), best("recalibrated"));
    assert!(best("running") > 0.2);
    assert!(text.contains("Interference at step") && text.contains("zero gradient"), "{text}");
    assert!(text.lines().last().unwrap().starts_with("state "), "{text}");
    assert!(run.join("interference/end.parquet").is_file());
}
