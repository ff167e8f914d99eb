//! PyTorch runs from tests/traces, repeated.

use assert_cmd::Command;
use crosstalk::simd::Level;
use std::path::{Path, PathBuf};

fn trace(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces").join(name)
}

/// Exit success, standard output, standard error.
fn replay(folder: &Path, arguments: &[&str]) -> (bool, String, String) {
    let output = Command::cargo_bin("crosstalk").unwrap().arg("replay").arg(folder).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn assert_agrees(name: &str, arguments: &[&str], parts: &[&str]) {
    let (success, out, error) = replay(&trace(name), arguments);
    assert!(success, "{name} {arguments:?}\n{out}{error}");
    for part in parts {
        assert!(out.lines().any(|line| line.starts_with(part) && line.contains("agrees")), "{part} is missing\n{out}");
    }
}

#[test]
fn the_reference_follows_pytorch_in_f64_over_50_steps_with_decay() {
    assert_agrees("zhang64-decay", &["--device", "reference"], &["steps", "final", "evaluation"]);
}

#[test]
fn the_reference_follows_pytorch_in_f64_over_50_steps_with_skip() {
    assert_agrees("zhang64-skip", &["--device", "reference"], &["steps", "final", "evaluation"]);
}

#[test]
fn the_reference_agrees_in_every_part_of_a_trace() {
    let parts = ["gradients", "steps", "final", "evaluation", "predictions"];
    assert_agrees("zhang64-all-parts", &["--device", "reference"], &parts);
}

#[test]
fn the_cpu_follows_pytorch_away_from_ties_at_every_simd_level() {
    for level in Level::available() {
        let simd = level.to_string();
        let arguments = ["--device", "cpu", "--simd", &simd];
        assert_agrees("zhang64-away-from-ties", &arguments, &["gradients", "steps", "final", "evaluation"]);
    }
}

#[test]
fn the_cpu_counts_the_same_images_as_pytorch_for_all_64_children() {
    for name in ["zhang64-decay", "zhang64-all-parts"] {
        assert_agrees(name, &["--device", "cpu", "--only", "evaluation,predictions"], &["evaluation"]);
    }
}

/// A copy of a trace in which one file was changed.
fn changed(name: &str, file: &str, change: impl Fn(&str) -> String) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(trace(name)).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let path = folder.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let new = change(&text);
    assert_ne!(text, new);
    std::fs::write(path, new).unwrap();
    folder
}

/// Adds to a number in a line (0 = header) and column.
fn shifted(text: &str, line: usize, column: usize, by: f64) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut cells: Vec<String> = lines[line].split(',').map(str::to_owned).collect();
    cells[column] = (cells[column].parse::<f64>().unwrap() + by).to_string();
    lines[line] = cells.join(",");
    lines.join("\n") + "\n"
}

#[test]
fn a_changed_loss_is_reported_with_its_step() {
    let folder = changed("zhang64-all-parts", "steps.csv", |text| shifted(text, 4, 2, 1e-6));
    let (success, out, _) = replay(folder.path(), &[]);
    assert!(!success);
    assert!(out.contains("in steps: step 3 (child "), "{out}");
}

#[test]
fn a_changed_count_is_reported_with_its_child() {
    let folder = changed("zhang64-all-parts", "eval.csv", |text| shifted(text, 1, 4, 1.0));
    let (success, out, _) = replay(folder.path(), &[]);
    assert!(!success);
    assert!(out.contains("in evaluation: child 111 under running statistics"), "{out}");
}

#[test]
fn a_changed_weight_is_reported_by_its_name() {
    let folder = changed("zhang64-all-parts", "eval.csv", |text| format!("{text}\n"));
    let path = folder.path().join("final.safetensors");
    let mut file = crosstalk::tensors::TensorFile::read(&path).unwrap();
    let tensor = file.tensors.get_mut("net.linear.bias").unwrap();
    match &mut tensor.values {
        crosstalk::tensors::Values::F64(values) => values[3] += 1e-6,
        other => panic!("{}", other.dtype()),
    }
    file.write(&path).unwrap();
    let (success, out, _) = replay(folder.path(), &[]);
    assert!(!success);
    assert!(out.contains("in final: net.linear.bias"), "{out}");
}

/// How a file's text is changed.
type Change = &'static dyn Fn(&str) -> String;

#[test]
fn malformed_parts_are_refused_by_name() {
    let cases: [(&str, Change, &str); 5] = [
        ("steps.csv", &|text| text.replacen("loss", "lost", 1), "missing field `loss`"),
        ("steps.csv", &|text| text.replacen("\n1,", "\n7,", 1), "step 7 stands where step 1 belongs"),
        ("steps.csv", &|text| text.replacen(",213,", ",219,", 1), "219"),
        ("trace.toml", &|text| text.replace("momentum", "momentun"), "unknown field `momentun`"),
        ("eval.csv", &|text| text.replacen("running", "recalibrated", 1), "their mini-batches are drawn by crosstalk"),
    ];
    for (file, change, sentence) in cases {
        let folder = changed("zhang64-all-parts", file, change);
        let (success, _, error) = replay(folder.path(), &[]);
        assert!(!success);
        assert!(error.starts_with("error: ") && error.contains(sentence), "{file}: {error}");
    }
    let (success, _, error) = replay(Path::new("nowhere"), &[]);
    assert!(!success && error.contains("trace.toml"), "{error}");
}
