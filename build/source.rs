//! The files of kernels, and the names of the kernels in them.

use std::fs;
use std::path::{Path, PathBuf};

/// One `.cu` file.
pub struct Source {
    /// The file's name without its ending.
    pub name: String,
    pub path: PathBuf,
    pub kernels: Vec<String>,
}

/// Every `.cu` file of a folder, by name.
pub fn in_folder(folder: &Path) -> Vec<Source> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "cu"));
    paths.sort();
    let source = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Source { name, kernels: kernels(&text), path }
    };
    paths.into_iter().map(source).collect()
}

/// The names after `extern "C" __global__ void`, with or without launch bounds.
fn kernels(text: &str) -> Vec<String> {
    let name = |after: &str| {
        let after = after.trim_start();
        let after = match after.strip_prefix("__launch_bounds__") {
            Some(bounds) => bounds.split_once(')').map_or("", |(_, after)| after).trim_start(),
            None => after,
        };
        after.split_once('(').map(|(name, _)| name.trim().to_owned())
    };
    text.split("extern \"C\" __global__ void").skip(1).filter_map(name).collect()
}
