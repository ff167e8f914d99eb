//! The growing record of a running trial.

use super::frame::{append_frames, header, read_frames};
use super::{Record, RecordError, write_parquet};
use crate::files::{FileError, remove_file, write_bytes_atomically};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// An append-only file of rows. What was appended survives the end of the process, and after [`Journal::sync`] that of the machine.
///
/// One process at a time may write it: take the run folder first (`files::FolderLock`).
#[derive(Debug)]
pub struct Journal<R> {
    path: PathBuf,
    file: File,
    /// Where the next frame starts.
    end: u64,
    rows: u64,
    row_type: PhantomData<R>,
}

/// What [`Journal::resume`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Compare with [`Journal::rows`] at the checkpoint: fewer means that the disk has lost some.
    pub kept_rows: u64,
    /// Rows that `keep` refused.
    pub cut_rows: u64,
    /// Bytes of a last frame that was not written to its end.
    pub torn_bytes: u64,
}

impl<R: Record> Journal<R> {
    /// Starts a journal that must not exist yet.
    ///
    /// # Errors
    ///
    /// Names `path` if it exists or cannot be written.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        Self::create_with(path, &[])
    }

    /// Starts a journal with rows in it. A process that is killed meanwhile leaves no journal or a whole one.
    ///
    /// # Errors
    ///
    /// As [`Journal::create`].
    pub fn create_with(path: &Path, rows: &[R]) -> Result<Self, RecordError> {
        if path.exists() {
            return Err(FileError::new("create", path, io::ErrorKind::AlreadyExists.into()).into());
        }
        let mut bytes = header::<R>();
        append_frames(&mut bytes, 0, rows);
        write_bytes_atomically(path, &bytes)?;
        Self::open(path, bytes.len() as u64, rows.len() as u64)
    }

    /// Goes on with a journal: cuts a torn tail and every row for which `keep` is false (those after the checkpoint's step). A process that
    /// is killed meanwhile leaves the journal as it was, or as it shall be.
    ///
    /// # Errors
    ///
    /// Names `path` if it cannot be read or written, or is no journal of `R`.
    pub fn resume(path: &Path, keep: impl Fn(&R) -> bool) -> Result<(Self, Recovery), RecordError> {
        let bytes = fs::read(path).map_err(|cause| FileError::new("read", path, cause))?;
        let frames = read_frames::<R>(&bytes).ok_or_else(|| RecordError::NotAJournal { path: path.to_path_buf() })?;
        let torn_bytes = (bytes.len() - frames.whole_bytes) as u64;
        let rows_before = frames.rows.len() as u64;
        let kept: Vec<R> = frames.rows.into_iter().filter(keep).collect();
        let kept_rows = kept.len() as u64;
        let mut end = frames.whole_bytes as u64;
        if kept_rows < rows_before || torn_bytes > 0 {
            let mut shortened = header::<R>();
            append_frames(&mut shortened, 0, &kept);
            write_bytes_atomically(path, &shortened)?;
            end = shortened.len() as u64;
        }
        let recovery = Recovery { kept_rows, cut_rows: rows_before - kept_rows, torn_bytes };
        Ok((Self::open(path, end, kept_rows)?, recovery))
    }

    /// The rows of a journal that another process may be writing, without changing it; a frame that is not yet whole is left out.
    ///
    /// # Errors
    ///
    /// Names `path` if it cannot be read or is no journal of `R`.
    pub fn read(path: &Path) -> Result<Vec<R>, RecordError> {
        let bytes = fs::read(path).map_err(|cause| FileError::new("read", path, cause))?;
        let frames = read_frames(&bytes).ok_or_else(|| RecordError::NotAJournal { path: path.to_path_buf() })?;
        Ok(frames.rows)
    }

    /// Rows appended so far, those kept by [`Journal::resume`] included.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Appends rows with a single write, so that the end of the process cannot lose them.
    ///
    /// # Errors
    ///
    /// Names the file, for example when the disk is full; the rows before stay, and appending may be tried again.
    pub fn append(&mut self, rows: &[R]) -> Result<(), RecordError> {
        let mut frames = Vec::new();
        append_frames(&mut frames, self.end, rows);
        if let Err(cause) = self.file.write_all(&frames) {
            // If cutting fails too, the next frame overwrites the torn one, or `resume` cuts it.
            let _ = self.file.set_len(self.end);
            let _ = self.file.seek(SeekFrom::Start(self.end));
            return Err(self.failed("write", cause));
        }
        self.end += frames.len() as u64;
        self.rows += rows.len() as u64;
        Ok(())
    }

    /// Makes everything appended so far survive a power cut. Call before a checkpoint is written.
    ///
    /// # Errors
    ///
    /// Names the file.
    pub fn sync(&self) -> Result<(), RecordError> {
        self.file.sync_data().map_err(|cause| self.failed("write", cause))
    }

    /// Turns the journal into a Parquet file, and removes it when that is safe on the disk. A process that is killed before leaves the
    /// journal: resume it and finish again; a Parquet file that is already there is replaced by an equal one.
    ///
    /// # Errors
    ///
    /// Names the file at fault; the journal then stays.
    pub fn finish(self, parquet: &Path) -> Result<(), RecordError> {
        let rows = Self::read(&self.path)?;
        let found = rows.len() as u64;
        if found != self.rows {
            return Err(RecordError::LostRows { path: self.path, expected: self.rows, found });
        }
        write_parquet(parquet, &rows)?;
        Ok(remove_file(&self.path)?)
    }

    fn open(path: &Path, end: u64, rows: u64) -> Result<Self, RecordError> {
        let failed = |cause| FileError::new("write", path, cause);
        let mut file = OpenOptions::new().write(true).open(path).map_err(failed)?;
        file.seek(SeekFrom::Start(end)).map_err(failed)?;
        Ok(Self { path: path.to_path_buf(), file, end, rows, row_type: PhantomData })
    }

    fn failed(&self, action: &'static str, cause: io::Error) -> RecordError {
        FileError::new(action, &self.path, cause).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::StepRecord;

    fn step(step: u64) -> StepRecord {
        let (child, alpha_loss) = (Some("142".to_string()), None);
        StepRecord { step, replica: 0, child, loss: 2.5, accuracy: 0.125, alpha_loss, learning_rate: 0.025, images: 64 }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_loses_no_earlier_row_and_appending_can_be_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.journal");
        let mut journal = Journal::create(&path).unwrap();
        journal.append(&[step(0)]).unwrap();
        let disk = std::mem::replace(&mut journal.file, OpenOptions::new().write(true).open("/dev/full").unwrap());
        let message = journal.append(&[step(1)]).unwrap_err().to_string();
        assert_eq!(
            message,
            format!("cannot write {}: the disk is full; free some space and try again", path.display())
        );
        journal.file = disk;
        journal.append(&[step(1)]).unwrap();
        assert_eq!(Journal::<StepRecord>::read(&path).unwrap(), [step(0), step(1)]);
        assert_eq!(journal.rows(), 2);
    }

    #[test]
    fn a_torn_frame_is_overwritten_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.journal");
        let mut journal = Journal::create(&path).unwrap();
        journal.append(&[step(0)]).unwrap();
        fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(&[7; 1000]).unwrap();
        journal.append(&[step(1)]).unwrap();
        let parquet = folder.path().join("steps.parquet");
        journal.finish(&parquet).unwrap();
        assert_eq!(crate::records::read_parquet::<StepRecord>(&parquet).unwrap(), [step(0), step(1)]);
    }
}
