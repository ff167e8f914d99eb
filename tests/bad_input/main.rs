//! Bad input from the command line: one clear sentence with the name of the thing and what to do, an exit code that is not zero, no
//! panic, and whatever was recorded before stays whole.

mod children;
#[path = "../common/mod.rs"]
mod common;
mod configuration;
mod data;
#[cfg(target_os = "linux")]
mod disk;
mod memory;
mod output;
mod runs;

use common::command::Workshop;
use std::path::{Path, PathBuf};
use std::process::Output;

const CHECKPOINT: &str = "checkpoints/step-00000012/replica-0.safetensors";

/// Asserts that the program failed with one sentence that holds all `parts`.
fn assert_sentence(arguments: &str, output: &Output, parts: &[&str]) {
    let error = String::from_utf8(output.stderr.clone()).expect("text");
    assert_eq!(output.status.code(), Some(1), "crosstalk {arguments}: {error}");
    assert!(error.starts_with("error: ") && error.trim_end().lines().count() == 1, "crosstalk {arguments}: {error}");
    for part in parts {
        assert!(error.contains(part), "crosstalk {arguments}: `{part}` is not in: {error}");
    }
}

fn refused(shop: &Workshop, arguments: &str, parts: &[&str]) {
    assert_sentence(arguments, &shop.command(arguments).output().expect("the program starts"), parts);
}

/// As [`refused`], for training: no run folder is left behind.
fn not_begun(shop: &Workshop, arguments: &str, parts: &[&str]) {
    refused(shop, &format!("train {arguments} --out unbegun"), parts);
    assert!(!shop.path("unbegun").exists(), "train {arguments} left a folder");
}

/// The first half of a file, in a new one.
fn half(shop: &Workshop, of: &Path, name: &str) -> PathBuf {
    let bytes = std::fs::read(of).expect("a file");
    let path = shop.path(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("a file");
    path
}

/// Every file under a folder with its bytes.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push((path.clone(), std::fs::read(&path).expect("a file")));
        }
    }
    all.sort();
    all
}

/// Names in a folder.
fn names(folder: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    names
}
