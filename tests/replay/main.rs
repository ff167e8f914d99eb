//! `crosstalk replay` repeats PyTorch's runs, and says where a trace is another run's.

mod agreement;
#[path = "../common/mod.rs"]
mod common;
mod copied;
mod differences;
mod refusals;

use std::path::PathBuf;

const ALL_PARTS: &str = "zhang64-all-parts";

fn committed(name: &str) -> PathBuf {
    PathBuf::from(format!("{}/tests/traces/{name}", env!("CARGO_MANIFEST_DIR")))
}
