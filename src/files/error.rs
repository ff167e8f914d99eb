//! What can go wrong with a file, in one sentence: what was done, where, why, and what to do.

use std::io;
use std::path::{Path, PathBuf};

/// A file or folder that could not be read, written, made or removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}: {reason}", path = .path.display(), reason = reason(.cause))]
pub struct FileError {
    /// A verb: `read`, `write`, `create`, `lock`, ...
    pub action: &'static str,
    pub path: PathBuf,
    /// Not the `source` of this error, because the sentence states it already.
    pub cause: io::Error,
}

impl FileError {
    pub fn new(action: &'static str, path: &Path, cause: io::Error) -> Self {
        Self { action, path: path.to_path_buf(), cause }
    }

    /// Whether there was no room, so that the same can be tried again where there is more.
    pub fn lacks_room(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self.cause.kind(), StorageFull | QuotaExceeded | FileTooLarge)
    }
}

/// The cause in words, and the way out where there is a usual one.
fn reason(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::StorageFull => "the disk is full; free some space and try again".to_string(),
        io::ErrorKind::QuotaExceeded => "the disk quota is used up; free some space and try again".to_string(),
        io::ErrorKind::FileTooLarge => {
            "the file would exceed the size limit; raise it (ulimit -f) and try again".to_string()
        }
        io::ErrorKind::ReadOnlyFilesystem => "the disk is read-only; choose another folder".to_string(),
        io::ErrorKind::PermissionDenied => {
            "permission denied; change its permissions or choose another place".to_string()
        }
        io::ErrorKind::NotFound => "there is no such file or folder; check the path".to_string(),
        io::ErrorKind::NotADirectory => "a part of the path is a file, not a folder; check the path".to_string(),
        io::ErrorKind::IsADirectory => "it is a folder, not a file; check the path".to_string(),
        io::ErrorKind::AlreadyExists => "it exists already; choose another name, or remove it first".to_string(),
        io::ErrorKind::WouldBlock => "another process is using it; wait until that one has ended".to_string(),
        _ => cause.to_string(),
    }
}
