//! What can go wrong with a table of records.

use crate::files::FileError;
use std::path::PathBuf;

/// A journal or Parquet file that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{path} is not a journal of crosstalk, or its start is damaged; move it away to start this record anew", path = .path.display())]
    NotAJournal { path: PathBuf },
    #[error(
        "{path} holds fewer rows than were written to it: {found} of {expected}; \
         another process has changed it: resume the run from its last checkpoint", path = .path.display()
    )]
    LostRows { path: PathBuf, expected: u64, found: u64 },
    #[error("{path} is truncated or not a Parquet file: {reason}; restore it or make it again", path = .path.display())]
    NotParquet { path: PathBuf, reason: String },
    #[error("{path} has other columns than this table needs: {reason}; give a file that this version wrote", path = .path.display())]
    OtherColumns { path: PathBuf, reason: String },
    #[error("column `{column}` cannot be written to {path}: it holds a number above 2^63 - 1; use smaller ones", path = .path.display())]
    NumberTooLarge { path: PathBuf, column: &'static str },
}
