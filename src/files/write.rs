//! Writing a file whole or not at all.

use super::FileError;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How the name of a file ends that is being written.
const UNFINISHED: &str = ".partial";

/// Writes `path` through `write`: into a temporary file beside it, which is flushed, synced and renamed, and then the folder is synced.
///
/// # Errors
///
/// Names `path` if any of these fails, `write` included; the temporary file is then removed and an earlier `path` is as before.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), FileError> {
    let failed = |cause| FileError::new("write", path, cause);
    let temporary = temporary_beside(path).map_err(failed)?;
    let file = OpenOptions::new().write(true).create_new(true).open(&temporary).map_err(failed)?;
    let written = write_and_sync(file, write).and_then(|()| fs::rename(&temporary, path));
    if let Err(cause) = written {
        // The first failure is the one to report; a full disk does not keep a file from being removed.
        let _ = fs::remove_file(&temporary);
        return Err(failed(cause));
    }
    sync_folder_of(path).map_err(failed)
}

/// [`write_atomically`] for content that is in memory.
///
/// # Errors
///
/// As [`write_atomically`].
pub fn write_bytes_atomically(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_atomically(path, |writer| writer.write_all(bytes))
}

/// Gives a file that is complete and synced another name in its folder, for good.
///
/// # Errors
///
/// Names `path` if the file cannot take it.
pub fn rename_durably(from: &Path, path: &Path) -> Result<(), FileError> {
    fs::rename(from, path).and_then(|()| sync_folder_of(path)).map_err(|cause| FileError::new("write", path, cause))
}

/// Removes a file for good: its folder is synced. A file that is gone already is no error.
///
/// # Errors
///
/// Names `path` if it cannot be removed.
pub fn remove_file(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(FileError::new("remove", path, cause)),
        _ => sync_folder_of(path).map_err(|cause| FileError::new("remove", path, cause)),
    }
}

/// Removes what writers that were killed left in a folder. Only for a folder that no other process writes into.
///
/// # Errors
///
/// Names the folder or file at fault.
pub fn remove_unfinished(folder: &Path) -> Result<(), FileError> {
    for entry in fs::read_dir(folder).map_err(|cause| FileError::new("read", folder, cause))? {
        let entry = entry.map_err(|cause| FileError::new("read", folder, cause))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') && name.ends_with(UNFINISHED) && entry.path().is_file() {
            remove_file(&entry.path())?;
        }
    }
    Ok(())
}

fn write_and_sync(file: File, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 18, file);
    // A failed writer is taken apart, so that its rest is not written once more when it is dropped.
    if let Err(cause) = write(&mut writer) {
        drop(writer.into_parts());
        return Err(cause);
    }
    writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// A name that no other writer uses, hidden, and ending so that `*.parquet` and `*.safetensors` do not match it.
fn temporary_beside(path: &Path) -> io::Result<PathBuf> {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::IsADirectory, "no file name"))?;
    let (process, write) = (std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed));
    Ok(path.with_file_name(format!(".{}.{process}.{write}{UNFINISHED}", name.to_string_lossy())))
}

/// Makes a new, renamed or removed entry of the folder that holds `path` survive a power cut.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_in(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_writer_that_fails_leaves_the_earlier_file_whole_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        write_bytes_atomically(&path, b"earlier").unwrap();
        let error = write_atomically(&path, |writer| {
            writer.write_all(&[1; 1 << 20])?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot write {}: the disk is full; free some space and try again", path.display())
        );
        assert_eq!(fs::read(&path).unwrap(), b"earlier");
        assert_eq!(names_in(folder.path()), ["weights.safetensors"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_without_room_is_told_as_a_full_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.parquet");
        std::os::unix::fs::symlink("/dev/full", folder.path().join("device")).unwrap();
        let error = write_atomically(&path, |_| {
            let mut device = OpenOptions::new().write(true).open(folder.path().join("device"))?;
            device.write_all(b"rows")
        })
        .unwrap_err();
        assert!(error.lacks_room() && error.to_string().contains("the disk is full"), "{error}");
        assert_eq!(names_in(folder.path()), ["device"]);
    }

    #[test]
    fn only_what_a_killed_writer_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let unfinished = temporary_beside(&folder.path().join("steps.parquet")).unwrap();
        for path in [unfinished, folder.path().join(".hidden"), folder.path().join("mine.partial")] {
            fs::write(path, b"x").unwrap();
        }
        remove_unfinished(folder.path()).unwrap();
        assert_eq!(names_in(folder.path()), [".hidden", "mine.partial"]);
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_bytes_atomically(&path, b"a long first content").unwrap();
        write_bytes_atomically(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names_in(folder.path()), ["a"]);
    }

    #[test]
    fn a_target_that_is_a_folder_or_lies_in_none_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("taken")).unwrap();
        for (name, reason) in [("taken", "it is a folder"), ("missing/file", "no such file or folder")] {
            let path = folder.path().join(name);
            let message = write_bytes_atomically(&path, b"x").unwrap_err().to_string();
            assert!(message.contains(&path.display().to_string()) && message.contains(reason), "{message}");
        }
        assert!(write_bytes_atomically(Path::new("/"), b"x").is_err());
        assert_eq!(names_in(folder.path()), ["taken"]);
    }

    #[test]
    fn removing_a_file_that_is_gone_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        write_bytes_atomically(&path, b"x").unwrap();
        remove_file(&path).unwrap();
        remove_file(&path).unwrap();
        assert!(!path.exists());
    }
}
