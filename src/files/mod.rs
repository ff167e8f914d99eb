//! Durable files: after a call returns, the new content survives a power cut; until then, the old file stays whole. And CSV files,
//! read by the names of their columns.

mod csv;
mod error;
mod folder;
mod write;

pub use csv::{CsvError, CsvFile, CsvRow, line_of};
pub use error::FileError;
pub use folder::{FolderLock, create_new_folder, free_run_folder};
pub use write::{remove_file, remove_unfinished, rename_durably, write_atomically, write_bytes_atomically};
