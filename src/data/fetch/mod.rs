//! Data sets from their canonical addresses: resumed where a transfer stopped, and in place only with the right checksum.

mod catalog;
mod download;
mod error;
mod part;

pub use catalog::{RemoteFile, RemoteSet, known_sets};
pub use download::Transfer;
pub use error::FetchError;

use crate::files::{FileError, FolderLock};
use std::path::Path;

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Downloaded,
    /// It was there already, with the right checksum.
    Present,
}

/// Downloads the files of `set` into `folder`, which is made if need be, from `base` instead of the set's own address if given. A file that is
/// there is checked and kept. A transfer that stops leaves `NAME.part`, and the next call goes on from there. `observe` is told how far each file is.
///
/// # Errors
/// A folder that another process fills, an address that cannot be reached or does not have the file, a transfer that breaks off, another checksum,
/// a file that cannot be written. Files before the one at fault are complete.
pub fn fetch(
    set: &RemoteSet,
    folder: &Path,
    base: Option<&str>,
    observe: &mut dyn FnMut(Transfer),
) -> Result<Vec<(&'static str, Outcome)>, FetchError> {
    std::fs::create_dir_all(folder).map_err(|cause| FileError::new("create", folder, cause))?;
    let _lock = FolderLock::take(folder)?;
    let base = base.unwrap_or(set.base).trim_end_matches('/');
    let agent = download::agent();
    let mut outcomes = Vec::new();
    for file in set.files {
        let outcome = download::download(&agent, &format!("{base}/{}", file.name), file, set.page, folder, observe)?;
        outcomes.push((file.name, outcome));
    }
    Ok(outcomes)
}
