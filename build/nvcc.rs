//! Where nvcc is.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Environment variables that decide.
pub const VARIABLES: &[&str] = &["NVCC", "CUDA_HOME", "CUDA_PATH", "PATH"];

pub struct Nvcc {
    pub path: PathBuf,
    /// As nvcc calls itself: `release 13.0, V13.0.88`.
    pub version: String,
}

/// `NVCC` alone if it is set; else `CUDA_HOME`, `CUDA_PATH`, what scripts/cuda-toolchain installed, `PATH`, /usr/local/cuda.
///
/// # Errors
/// `NVCC` names no program, or what was found does not run.
pub fn find(root: &Path) -> Result<Option<Nvcc>, String> {
    if let Some(path) = env::var_os("NVCC") {
        return ask(PathBuf::from(path)).map(Some);
    }
    let homes = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(env::var_os).map(PathBuf::from);
    let homes = homes.chain([root.join(".cuda/nvidia/cu13")]).map(|home| home.join("bin"));
    let on_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let folders = homes.chain(on_path).chain([PathBuf::from("/usr/local/cuda/bin")]);
    folders.map(|folder| folder.join("nvcc")).find(|path| path.is_file()).map(ask).transpose()
}

fn ask(path: PathBuf) -> Result<Nvcc, String> {
    let output = Command::new(&path).arg("--version").output();
    let output =
        output.map_err(|error| format!("{} cannot be run ({error}): correct NVCC, or unset it", path.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version =
        text.lines().find_map(|line| line.split_once("release ").map(|(_, version)| format!("release {version}")));
    let version = version.ok_or_else(|| format!("{} does not say its version: it is no nvcc", path.display()))?;
    Ok(Nvcc { path, version })
}
