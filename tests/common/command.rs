//! The program, run as a user runs it, and what it leaves in a run folder.
#![allow(dead_code, reason = "every test file uses its own part")]

use crosstalk::records::{AccuracyRecord, AlphaRecord, Record, StepRecord, read_parquet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A run of a dozen steps on a hundred digits: short mini-batches at the end of an epoch, augmentation, a cosine, evaluation under
/// every regime, checkpoints on other steps than evaluations.
pub const SMALL: &str = r#"
name = "small"
steps = 12
[network]
space = "zhang64"
channels = 8
cells = 2
[data]
source = "digits"
batch = 24
train_images = 100
evaluation_images = 40
[augmentation]
crop_padding = 1
flip = true
[step]
order = "reshuffled"
[optimizer]
learning_rate = 0.1
schedule = "cosine"
[evaluation]
every_steps = 5
children = "every:4"
norm = ["running", "batch", "recalibrated"]
batch = 16
recalibration_batches = 2
[checkpoint]
every_steps = 4
"#;

/// Makes of [`SMALL`] a run of nasbench201 with two uniform children a step, which choose anew in every cell.
pub const NASBENCH201: &str = "--set network.space=nasbench201 --set network.cells=1 --set network.untied_cells=true \
                               --set step.children=uniform --set step.order=lexicographic --set step.lanes=2 \
                               --set step.redraw_zero_nodes=true --set optimizer.nesterov=true --set optimizer.clip_norm=2.0";

/// Makes of [`SMALL`] a run of darts with two uniform children a step.
pub const DARTS: &str = "--set network.space=darts --set network.cells=3 --set network.channels=4 --set step.children=uniform \
                         --set step.order=lexicographic --set step.lanes=2 --set optimizer.clip_norm=2.0";

/// Makes of [`SMALL`] a search that evaluates the child that it makes.
pub const SEARCH: &str = "--set step.children=mixture --set step.order=lexicographic --set optimizer.clip_norm=5.0 \
                          --set architecture.learning_rate=0.05 --set evaluation.children=derived";

/// [`SEARCH`] over every space.
pub fn searches() -> [String; 3] {
    let nasbench201 =
        "--set network.space=nasbench201 --set network.cells=1 --set network.channels=4 --set optimizer.nesterov=true";
    let darts = "--set network.space=darts --set network.cells=3 --set network.channels=2";
    ["", nasbench201, darts].map(|space| format!("{SEARCH} {space}"))
}

/// A folder for the runs of one test.
pub struct Workshop {
    folder: tempfile::TempDir,
}

/// What a finished run recorded.
#[derive(Debug, PartialEq)]
pub struct Recorded {
    pub state_hash: String,
    pub replica_hashes: Vec<String>,
    pub steps: Vec<StepRecord>,
    pub accuracy: Vec<AccuracyRecord>,
    /// Of a search.
    pub alphas: Vec<AlphaRecord>,
}

impl Workshop {
    /// Holds [`SMALL`] as `small.toml`.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("small.toml"), SMALL).expect("a file");
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with these arguments, in the workshop's folder; without a progress bar.
    pub fn command(&self, arguments: &str) -> Command {
        // A copy of the tests on another machine says where the program is.
        let program = std::env::var_os("CARGO_BIN_EXE_crosstalk");
        let mut command = Command::new(program.unwrap_or_else(|| env!("CARGO_BIN_EXE_crosstalk").into()));
        command.current_dir(self.folder.path()).args(arguments.split_whitespace());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program; it must succeed. Returns what it printed.
    pub fn run(&self, arguments: &str) -> String {
        let output = self.output(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "crosstalk {arguments}: {error}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs the program; it must fail. Returns its error.
    pub fn refused(&self, arguments: &str) -> String {
        let output = self.output(arguments);
        assert_eq!(output.status.code(), Some(1), "crosstalk {arguments} did not fail as it should");
        String::from_utf8(output.stderr).expect("text")
    }

    fn output(&self, arguments: &str) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Trains `small.toml` with further arguments into the folder `name`.
    pub fn train(&self, name: &str, arguments: &str) -> Recorded {
        self.run(&format!("train small.toml --out {name} {arguments}"));
        self.recorded(name)
    }

    /// What the finished run in the folder `name` recorded.
    pub fn recorded(&self, name: &str) -> Recorded {
        let folder = self.path(name);
        let result: toml::Table =
            toml::from_str(&std::fs::read_to_string(folder.join("result.toml")).expect("a result")).expect("TOML");
        let hashes = result["replica_hashes"].as_array().expect("an array");
        Recorded {
            state_hash: result["state_hash"].as_str().expect("text").to_owned(),
            replica_hashes: hashes.iter().map(|hash| hash.as_str().expect("text").to_owned()).collect(),
            steps: rows(&folder.join("steps.parquet")),
            accuracy: rows(&folder.join("accuracy.parquet")),
            alphas: if folder.join("alphas.parquet").exists() {
                rows(&folder.join("alphas.parquet"))
            } else {
                Vec::new()
            },
        }
    }
}

/// Rows of a Parquet file.
pub fn rows<R: Record>(path: &Path) -> Vec<R> {
    read_parquet(path).unwrap_or_else(|error| panic!("{error}"))
}
