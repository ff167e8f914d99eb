//! `crosstalk weights`: what is in a file of weights, and how far two of them lie apart.

use crate::report::Table;
use crate::tensors::{Comparison, Tensor, TensorError, TensorFile, Values, compare};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Exit code of `diff` when the files differ.
const DIFFERENT: u8 = 1;

/// Arguments of `crosstalk weights`.
#[derive(Debug, clap::Args)]
pub struct WeightsArguments {
    #[command(subcommand)]
    command: WeightsCommand,
}

#[derive(Debug, clap::Subcommand)]
enum WeightsCommand {
    /// List the tensors of a .safetensors file with their shapes and values
    Inspect {
        /// A .safetensors file
        file: PathBuf,
    },
    /// Compare two .safetensors files tensor by tensor; exit with 1 if they differ
    ///
    /// The error of a tensor is ||a - b||2 / max(||b||2, 1e-6 * ||all of B||2).
    Diff {
        /// A .safetensors file
        a: PathBuf,
        /// The .safetensors file that A is compared with
        b: PathBuf,
        /// Largest error of a tensor at which the files still count as equal
        #[arg(long, default_value_t = 0.0, value_parser = tolerance)]
        tolerance: f64,
    },
}

/// Runs `crosstalk weights`. The exit code is 1 if `diff` finds a difference beyond its tolerance.
///
/// # Errors
///
/// A file that cannot be read, by its name.
pub fn run(arguments: WeightsArguments) -> anyhow::Result<ExitCode> {
    let (text, agree) = execute(&arguments.command)?;
    print!("{text}");
    Ok(if agree { ExitCode::SUCCESS } else { DIFFERENT.into() })
}

/// What to print, and whether the files agree.
fn execute(command: &WeightsCommand) -> Result<(String, bool), TensorError> {
    match command {
        WeightsCommand::Inspect { file } => Ok((inspection(&TensorFile::read(file)?), true)),
        WeightsCommand::Diff { a, b, tolerance } => {
            let comparison = compare(&TensorFile::read(a)?, &TensorFile::read(b)?);
            Ok((differences(&comparison, a, b, *tolerance), comparison.agrees_within(*tolerance)))
        }
    }
}

/// A tolerance on the command line.
pub fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(tolerance) if tolerance >= 0.0 => Ok(tolerance),
        _ => Err("give a number that is not negative, such as 1e-6".to_string()),
    }
}

fn inspection(file: &TensorFile) -> String {
    let mut table = Table::new(["tensor", "shape", "type", "values", "min", "max", "mean", "NaN"]);
    for (name, tensor) in &file.tensors {
        let summary = Summary::of(tensor);
        let number = |value: Option<f64>| value.map_or("-".to_string(), number_text);
        table.row([
            name.clone(),
            tensor.shape_text(),
            tensor.values.dtype().to_string(),
            tensor.values.len().to_string(),
            number(summary.min),
            number(summary.max),
            number(summary.mean),
            summary.nan_count.to_string(),
        ]);
    }
    let values: usize = file.tensors.values().map(|tensor| tensor.values.len()).sum();
    let buffers: usize = file.tensors.iter().filter(|(name, t)| is_buffer(name, t)).map(|(_, t)| t.values.len()).sum();
    let mut text = format!(
        "{table}\n{} tensors: {} parameters, and {buffers} values in buffers (running statistics and counters)\n",
        file.tensors.len(),
        values - buffers
    );
    for (key, value) in &file.metadata {
        text += &format!("metadata {key} = {value}\n");
    }
    text
}

/// Six decimals, or three and an exponent where those would hide the number.
fn number_text(value: f64) -> String {
    if value == 0.0 || (1e-3..1e6).contains(&value.abs()) { format!("{value:.6}") } else { format!("{value:.3e}") }
}

/// Whether a tensor counts or tracks statistics and is not trained; told by PyTorch's names.
fn is_buffer(name: &str, tensor: &Tensor) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    matches!(last, "running_mean" | "running_var") || matches!(tensor.values, Values::I64(_))
}

/// Of the values that are not NaN; `None` if there are none.
struct Summary {
    min: Option<f64>,
    max: Option<f64>,
    mean: Option<f64>,
    nan_count: usize,
}

impl Summary {
    fn of(tensor: &Tensor) -> Self {
        let numbers = || tensor.values.iter_f64().filter(|value| !value.is_nan());
        let count = numbers().count();
        Self {
            min: numbers().reduce(f64::min),
            max: numbers().reduce(f64::max),
            mean: (count > 0).then(|| numbers().sum::<f64>() / count as f64),
            nan_count: tensor.values.len() - count,
        }
    }
}

fn differences(comparison: &Comparison, a: &Path, b: &Path, tolerance: f64) -> String {
    let mut text = String::new();
    let beyond: Vec<_> = comparison.differences.iter().filter(|d| d.largest_difference > 0.0).collect();
    if !beyond.is_empty() {
        let mut table = Table::new(["tensor", "shape", "relative error", "largest difference", ""]);
        for difference in &beyond {
            let mark = if difference.relative_error > tolerance { "differs" } else { "" };
            table.row([
                difference.name.clone(),
                format!("{:?}", difference.shape),
                format!("{:.3e}", difference.relative_error),
                format!("{:.3e}", difference.largest_difference),
                mark.to_string(),
            ]);
        }
        text += &format!("{table}\n");
    }
    for (name, shape_a, shape_b) in &comparison.other_shape {
        text += &format!("{name} has shape {shape_a:?} in {} and {shape_b:?} in {}\n", a.display(), b.display());
    }
    for (names, file) in [(&comparison.only_in_first, a), (&comparison.only_in_second, b)] {
        for name in names {
            text += &format!("{name} is only in {}\n", file.display());
        }
    }
    let equal = comparison.differences.len() - beyond.len();
    let within = beyond.iter().filter(|difference| difference.relative_error <= tolerance).count();
    let apart = comparison.other_shape.len() + comparison.only_in_first.len() + comparison.only_in_second.len();
    let beyond = beyond.len() - within;
    text += &format!("tensors: {equal} equal, {within} within {tolerance}, {beyond} beyond, {apart} not comparable\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::collections::BTreeMap;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        weights: WeightsArguments,
    }

    /// Parses and executes `weights` with these arguments.
    fn weights(arguments: &[&str]) -> (String, bool) {
        let parsed = CommandLine::try_parse_from([&["weights"], arguments].concat()).unwrap();
        execute(&parsed.weights.command).unwrap()
    }

    fn file(folder: &Path, name: &str, bias: [f32; 2]) -> String {
        let tensor = |shape: &[usize], values| Tensor { shape: shape.to_vec(), values };
        let tensors = BTreeMap::from([
            ("net.linear.bias".to_string(), tensor(&[2], Values::F32(bias.to_vec()))),
            ("net.stem.1.num_batches_tracked".to_string(), tensor(&[], Values::I64(vec![640]))),
            ("net.stem.1.running_mean".to_string(), tensor(&[3], Values::F32(vec![0.5, -1.0, f32::NAN]))),
        ]);
        let metadata = BTreeMap::from([("space".to_string(), "zhang64".to_string())]);
        let path = folder.join(name);
        TensorFile { metadata, tensors }.write(&path).unwrap();
        path.display().to_string()
    }

    #[test]
    fn inspect_lists_every_tensor_and_counts_parameters_apart_from_buffers() {
        let folder = tempfile::tempdir().unwrap();
        let (text, agree) = weights(&["inspect", &file(folder.path(), "a.safetensors", [3.0, 4.0])]);
        assert!(agree);
        let expected = "\
tensor                          shape  type  values         min         max        mean  NaN
------------------------------  -----  ----  ------  ----------  ----------  ----------  ---
net.linear.bias                 [2]    F32        2    3.000000    4.000000    3.500000    0
net.stem.1.num_batches_tracked  []     I64        1  640.000000  640.000000  640.000000    0
net.stem.1.running_mean         [3]    F32        3   -1.000000    0.500000   -0.250000    1

3 tensors: 2 parameters, and 4 values in buffers (running statistics and counters)
metadata space = zhang64
";
        assert_eq!(text, expected);
    }

    #[test]
    fn diff_is_silent_about_equal_tensors_and_says_which_differ() {
        let folder = tempfile::tempdir().unwrap();
        let a = file(folder.path(), "a.safetensors", [3.0, 4.5]);
        let b = file(folder.path(), "b.safetensors", [3.0, 4.0]);
        let (text, agree) = weights(&["diff", &a, &b]);
        assert!(!agree);
        let expected = "\
tensor           shape  relative error  largest difference
---------------  -----  --------------  ------------------  -------
net.linear.bias  [2]          1.000e-1            5.000e-1  differs

tensors: 2 equal, 0 within 0, 1 beyond, 0 not comparable
";
        assert_eq!(text, expected);
        assert_eq!(
            weights(&["diff", &a, &a]),
            ("tensors: 3 equal, 0 within 0, 0 beyond, 0 not comparable\n".to_string(), true)
        );
        let (text, agree) = weights(&["diff", "--tolerance", "0.1", &a, &b]);
        assert!(agree && text.ends_with("tensors: 2 equal, 1 within 0.1, 0 beyond, 0 not comparable\n"), "{text}");
    }

    #[test]
    fn diff_lists_names_and_shapes_of_one_side_only() {
        let folder = tempfile::tempdir().unwrap();
        let a = file(folder.path(), "a.safetensors", [3.0, 4.0]);
        let b = folder.path().join("b.safetensors");
        let mut other = TensorFile::read(Path::new(&a)).unwrap();
        let mean = other.tensors.remove("net.stem.1.running_mean").unwrap();
        other.tensors.insert("net.linear.bias".to_string(), Tensor { shape: vec![3], ..mean });
        other.write(&b).unwrap();
        let (text, agree) = weights(&["diff", &a, &b.display().to_string()]);
        assert!(!agree);
        assert!(text.contains(&format!("net.linear.bias has shape [2] in {a} and [3] in {}", b.display())), "{text}");
        assert!(text.contains(&format!("net.stem.1.running_mean is only in {a}")), "{text}");
    }

    #[test]
    fn a_tolerance_that_is_no_error_is_refused() {
        for wrong in ["-1", "NaN", "small"] {
            let parsed = CommandLine::try_parse_from(["weights", "diff", "a", "b", &format!("--tolerance={wrong}")]);
            assert!(parsed.err().unwrap().to_string().contains("give a number that is not negative"), "{wrong}");
        }
    }
}
