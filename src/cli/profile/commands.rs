//! Command lines of ncu and nsys that look at the window and at nothing else.

use super::ProfileArguments;
use super::ncu::METRICS;
use crate::device::facts::DeviceFacts;
use crate::train::config::Precision;
use serde::Serialize;

const REPORT: &str = "profile.ncu-rep";
const CSV: &str = "profile.csv";
const TIMELINE: &str = "profile.nsys-rep";

/// Each as words; nothing in them is special to a shell.
#[derive(Clone, Serialize)]
pub struct Commands {
    /// Measures every launch of the window, into a report.
    ncu: Vec<String>,
    /// Prints the report as CSV.
    ncu_csv: Vec<String>,
    /// Reads the CSV.
    table: Vec<String>,
    /// Records when what ran, into a report.
    nsys: Vec<String>,
    /// Prints a summary of that report.
    nsys_summary: Vec<String>,
}

impl Commands {
    /// Of the same configuration and window. `facts`: of the GPU that ncu will watch, if known.
    pub fn new(arguments: &ProfileArguments, precision: Precision, facts: Option<&DeviceFacts>) -> Self {
        let program = std::env::args().next().unwrap_or_else(|| "crosstalk".to_owned());
        let mut window = vec![program, "profile".to_owned(), arguments.config.clone()];
        if let Some(source) = &arguments.data {
            window.extend(["--data".to_owned(), source.to_string()]);
        }
        for assignment in &arguments.set {
            window.extend(["--set".to_owned(), assignment.clone()]);
        }
        window.extend(words(["--steps", &arguments.steps.to_string(), "--warm-up", &arguments.warm_up.to_string()]));
        window.extend(words(["--device", &format!("cuda:{}", arguments.device.gpu(precision).unwrap_or(0))]));
        let facts = facts.map_or("GPU", |facts| facts.name);
        let metrics = METRICS.join(",");
        let ncu =
            ["ncu", "--profile-from-start", "off", "--metrics", &metrics, "--force-overwrite", "--export", REPORT];
        let nsys = [
            "nsys",
            "profile",
            "--trace=cuda",
            // A step is one graph: its kernels, not the graph alone.
            "--cuda-graph-trace=node",
            "--sample=none",
            "--cpuctxsw=none",
            "--capture-range=cudaProfilerApi",
            "--capture-range-end=stop",
            "--force-overwrite=true",
            "--output",
            TIMELINE,
        ];
        let read = words(["--ncu-csv", CSV, "--device-facts", facts]);
        Self {
            ncu: [words(ncu), window.clone()].concat(),
            ncu_csv: words(["ncu", "--import", REPORT, "--csv", "--page", "raw", "--print-units", "base"]),
            table: [window.clone(), read].concat(),
            nsys: [words(nsys), window].concat(),
            nsys_summary: words(["nsys", "stats", "--report", "cuda_gpu_kern_sum", TIMELINE]),
        }
    }

    /// `on_a_gpu`: whether the window just ran on one.
    pub fn print(&self, on_a_gpu: bool) {
        if on_a_gpu {
            println!("\nThe same window by kernel, beside the cost model:");
        } else {
            println!(
                "\nncu and nsys look at kernels on a GPU. On a machine that has one, the same window by kernel, beside the cost model:"
            );
        }
        println!("  {}", shell(&self.ncu));
        println!("  {} > {CSV}", shell(&self.ncu_csv));
        println!("  {}", shell(&self.table));
        if self.table.last().is_some_and(|word| word == "GPU") {
            println!("  (GPU is h100, h200 or a100)");
        }
        println!("Its timeline:");
        println!("  {}", shell(&self.nsys));
        println!("  {}", shell(&self.nsys_summary));
    }
}

fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// As a shell takes them.
fn shell(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    let quoted = |word: &String| match word.as_str() {
        word if !word.is_empty() && word.chars().all(plain) => word.to_owned(),
        word => format!("'{}'", word.replace('\'', r"'\''")),
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_take_apart_is_quoted() {
        let told = shell(&words(["a=b,c", "step.order=['1','2']", "|none~0|", ""]));
        assert_eq!(told, r"a=b,c 'step.order=['\''1'\'','\''2'\'']' '|none~0|' ''");
    }
}
