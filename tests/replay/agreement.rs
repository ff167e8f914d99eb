//! The committed traces agree, in f64 and at every instruction set.

use crate::common::command::Workshop;
use crate::copied::Copied;
use crate::{ALL_PARTS, committed};
use crosstalk::simd::Level;

/// Replays a committed trace, which must agree, and returns the table's rows as cells.
fn replay(name: &str, arguments: &str) -> Vec<Vec<String>> {
    let text = Workshop::new().run(&format!("replay {} {arguments}", committed(name).display()));
    let rows = text.lines().skip_while(|line| !line.starts_with("---")).skip(1);
    let cells =
        |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect();
    rows.map(cells).collect()
}

/// Every row must have compared so many values, and lie within `tolerance`, as the printed numbers say.
#[track_caller]
fn assert_rows(rows: &[Vec<String>], expected: &[(&str, &str, usize)], tolerance: f64) {
    assert_eq!(rows.len(), expected.len(), "{rows:?}");
    for (row, (part, quantity, compared)) in rows.iter().zip(expected) {
        assert_eq!((row[0].as_str(), row[1].as_str(), &row[2]), (*part, *quantity, &compared.to_string()), "{row:?}");
        let deviation: f64 = row[3].parse().expect("a number");
        assert!(deviation <= tolerance && row[6] == "agrees", "{row:?}");
        assert!(!["correct", "class"].contains(quantity) || deviation == 0.0, "{row:?}");
    }
}

const EVALUATION: [(&str, &str, usize); 3] =
    [("evaluation", "loss", 128), ("evaluation", "accuracy", 128), ("evaluation", "correct", 128)];

#[test]
fn fifty_steps_on_the_reference_agree_with_either_rule_for_unsampled_parameters() {
    let parts = [("steps", "loss", 50), ("steps", "accuracy", 50), ("final", "tensors", 190)];
    let expected = [&parts[..], &EVALUATION].concat();
    for name in ["zhang64-decay", "zhang64-skip"] {
        assert_rows(&replay(name, "--device reference"), &expected, 1e-8);
    }
}

#[test]
fn twenty_steps_of_nasbench201_on_the_reference_agree_tied_and_untied() {
    for (name, tensors, evaluations) in [("nasbench201-decay", 75, 18), ("nasbench201-untied", 111, 16)] {
        let expected = [
            ("steps", "loss", 20),
            ("steps", "accuracy", 20),
            ("final", "tensors", tensors),
            ("evaluation", "loss", evaluations),
            ("evaluation", "accuracy", evaluations),
            ("evaluation", "correct", evaluations),
        ];
        assert_rows(&replay(name, ""), &expected, 1e-8);
    }
    // Final weights are evaluated with PyTorch's counts in f32 too.
    for level in Level::available() {
        let rows = replay("nasbench201-decay", &format!("--device cpu --simd {level} --only evaluation"));
        let quantities = ["loss", "accuracy", "correct"].map(|quantity| ("evaluation", quantity, 18));
        assert_rows(&rows, &quantities, 1e-4);
    }
}

#[test]
fn twenty_steps_of_darts_on_the_reference_agree() {
    let evaluation = ["loss", "accuracy", "correct"].map(|quantity| ("evaluation", quantity, 16));
    let parts = [("steps", "loss", 20), ("steps", "accuracy", 20), ("final", "tensors", 1625)];
    assert_rows(&replay("darts-decay", ""), &[&parts[..], &evaluation].concat(), 1e-8);
    for level in Level::available() {
        let rows = replay("darts-decay", &format!("--device cpu --simd {level} --only evaluation"));
        assert_rows(&rows, &evaluation, 1e-4);
    }
}

/// Rows of a search's trace: so many steps, tensors of architecture parameters and tensors of the state, and evaluations.
fn of_search(
    steps: usize,
    alphas: usize,
    tensors: usize,
    evaluations: usize,
) -> [(&'static str, &'static str, usize); 8] {
    [
        ("steps", "loss", steps),
        ("steps", "accuracy", steps),
        ("steps", "alpha_loss", steps),
        ("alphas", "tensors", steps * alphas),
        ("final", "tensors", tensors),
        ("evaluation", "loss", evaluations),
        ("evaluation", "accuracy", evaluations),
        ("evaluation", "correct", evaluations),
    ]
}

#[test]
fn twenty_steps_of_a_search_agree_in_losses_alphas_and_weights() {
    assert_rows(&replay("zhang64-darts", ""), &of_search(20, 2, 102, 128), 1e-8);
    let nasbench201 = of_search(20, 1, 75, 18);
    assert_rows(&replay("nasbench201-darts", ""), &nasbench201, 1e-8);
    let darts = of_search(20, 2, 1625, 16);
    assert_rows(&replay("darts-darts", ""), &darts, 1e-8);
    for level in Level::available() {
        let device = format!("--device cpu --simd {level}");
        assert_rows(&replay("nasbench201-darts", &device), &nasbench201, 1e-4);
        // Its mini-batches are near ties: weights part, but neither losses nor alphas.
        let steps = replay("zhang64-darts", &format!("{device} --only steps,alphas"));
        assert_rows(&steps, &of_search(20, 2, 102, 128)[..4], 1e-4);
        let but_final = replay("darts-darts", &format!("{device} --only steps,alphas,evaluation"));
        assert_rows(&but_final, &[&darts[..4], &darts[5..]].concat(), 1e-4);
        // Average pools read sums of normalized maps: nine of their running means are zero but for rounding, or next to it. All else is within 1e-4.
        let last = replay("darts-darts", &format!("{device} --only final --tolerance 1e-2"));
        assert_rows(&last, &darts[4..5], 1e-2);
    }
}

#[test]
fn every_part_agrees_on_both_backends() {
    let expected = [
        ("gradients", "tensors", 51),
        ("steps", "loss", 6),
        ("steps", "accuracy", 6),
        ("final", "tensors", 102),
        ("evaluation", "loss", 16),
        ("evaluation", "accuracy", 16),
        ("evaluation", "correct", 16),
        ("predictions", "class", 16),
    ];
    // The trace is of f64, which chooses the reference.
    assert_rows(&replay(ALL_PARTS, ""), &expected, 1e-8);
    assert_rows(&replay(ALL_PARTS, "--device cpu --only evaluation,predictions"), &expected[4..], 1e-4);
}

#[test]
fn a_trace_away_from_ties_agrees_at_every_instruction_set() {
    let parts =
        [("gradients", "tensors", 22), ("steps", "loss", 12), ("steps", "accuracy", 12), ("final", "tensors", 190)];
    let expected = [&parts[..], &EVALUATION].concat();
    for level in Level::available() {
        let rows = replay("zhang64-away-from-ties", &format!("--device cpu --simd {level}"));
        assert_rows(&rows, &expected, 1e-4);
    }
}

#[test]
fn all_children_have_pytorchs_counts_on_the_cpu_at_every_instruction_set() {
    for level in Level::available() {
        let rows = replay("zhang64-decay", &format!("--device cpu --simd {level} --only evaluation"));
        assert_rows(&rows, &EVALUATION, 1e-4);
    }
}

#[test]
fn mini_batches_and_spaces_beside_the_trace_are_found() {
    let space = format!("{}/spaces/zhang64.toml", env!("CARGO_MANIFEST_DIR"));
    let trace = Copied::of(ALL_PARTS).replace("trace.toml", "space = \"zhang64\"", "space = \"own.toml\"").replace(
        "trace.toml",
        "order = \"explicit\"",
        "order = \"explicit\"\nbatches = \"listed.csv\"",
    );
    std::fs::copy(space, trace.path("own.toml")).expect("a copy");
    std::fs::rename(trace.path("batches.csv"), trace.path("listed.csv")).expect("renamed");
    trace.shop.run("replay trace");
}
