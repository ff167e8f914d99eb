//! Run folders: made new, never shared by two processes.

use super::FileError;
use super::write::sync_folder_of;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Makes a folder that must not exist yet, and the folders above it as needed.
///
/// # Errors
///
/// Names `path` if it exists or cannot be made.
pub fn create_new_folder(path: &Path) -> Result<(), FileError> {
    let failed = |cause| FileError::new("create", path, cause);
    if let Some(above) = path.parent() {
        fs::create_dir_all(above).map_err(|cause| match cause.kind() {
            io::ErrorKind::AlreadyExists => failed(io::ErrorKind::NotADirectory.into()),
            _ => failed(cause),
        })?;
    }
    fs::create_dir(path).and_then(|()| sync_folder_of(path)).map_err(failed)
}

/// Makes the first folder of `base`, `base-2`, `base-3`, ... that does not exist, and returns its path. Two processes never get the same.
///
/// # Errors
///
/// Names the folder that cannot be made for another reason than that it exists.
pub fn free_run_folder(base: &Path) -> Result<PathBuf, FileError> {
    let mut candidate = base.to_path_buf();
    let mut number = 1_u64;
    loop {
        match create_new_folder(&candidate) {
            Err(error) if error.cause.kind() == io::ErrorKind::AlreadyExists => {
                number += 1;
                let mut name = base.as_os_str().to_os_string();
                name.push(format!("-{number}"));
                candidate = name.into();
            }
            made => return made.map(|()| candidate),
        }
    }
}

/// Holds a folder for this process: nobody else can take it until this value is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
}

impl FolderLock {
    /// Takes `folder` through an empty file `lock` in it, which stays.
    ///
    /// # Errors
    ///
    /// Names the folder if another process holds it, or if the file cannot be made.
    pub fn take(folder: &Path) -> Result<Self, FileError> {
        let failed = |cause| FileError::new("lock", folder, cause);
        let path = folder.join("lock");
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(failed(io::ErrorKind::WouldBlock.into())),
            Err(TryLockError::Error(cause)) => Err(failed(cause)),
        }
    }
}

impl Drop for FolderLock {
    /// Closing the file would not do: a process that is being started beside this thread holds a copy of it for a moment, and with it the lock.
    fn drop(&mut self) {
        // A file system that cannot unlock does so when the last copy is closed.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_folder_that_exists_is_refused_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runs/quick");
        create_new_folder(&path).unwrap();
        let message = create_new_folder(&path).unwrap_err().to_string();
        assert_eq!(
            message,
            format!("cannot create {}: it exists already; choose another name, or remove it first", path.display())
        );
    }

    #[test]
    fn run_folders_are_numbered_from_two() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("runs/quick");
        let names: Vec<PathBuf> = (0..3).map(|_| free_run_folder(&base).unwrap()).collect();
        assert_eq!(names, ["runs/quick", "runs/quick-2", "runs/quick-3"].map(|name| folder.path().join(name)));
    }

    #[test]
    fn processes_that_ask_at_once_never_get_the_same_folder() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("run");
        let taken: BTreeSet<PathBuf> = std::thread::scope(|scope| {
            let askers: Vec<_> = (0..16).map(|_| scope.spawn(|| free_run_folder(&base).unwrap())).collect();
            askers.into_iter().map(|asker| asker.join().unwrap()).collect()
        });
        assert_eq!(taken.len(), 16);
    }

    #[test]
    fn a_run_folder_under_a_file_is_an_error_and_not_an_endless_search() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("runs"), b"").unwrap();
        let message = free_run_folder(&folder.path().join("runs/quick")).unwrap_err().to_string();
        assert!(message.contains("a part of the path is a file"), "{message}");
    }

    #[test]
    fn a_folder_is_held_by_one_owner_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let held = FolderLock::take(folder.path()).unwrap();
        let message = FolderLock::take(folder.path()).unwrap_err().to_string();
        assert!(message.contains("another process is using it"), "{message}");
        // As in a process that is being started.
        let _copy = held.file.try_clone().unwrap();
        drop(held);
        FolderLock::take(folder.path()).unwrap();
    }
}
