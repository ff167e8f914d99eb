//! Any table's file, told apart by how it starts.

use super::sheet::Sheet;
use super::{TableError, csv, parquet};
use crate::files::FileError;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// How a Parquet file starts.
const PARQUET_MAGIC: &[u8; 4] = b"PAR1";

/// Reads CSV or Parquet.
///
/// # Errors
/// A file that cannot be read or is damaged, a column that stands twice, and a table without rows.
pub fn read_sheet(path: &Path) -> Result<Sheet, TableError> {
    let failed = |cause| FileError::new("read", path, cause);
    let mut file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    (&mut file).take(PARQUET_MAGIC.len() as u64).read_to_end(&mut bytes).map_err(failed)?;
    let sheet = if bytes == PARQUET_MAGIC {
        parquet::read(path, file)?
    } else {
        file.read_to_end(&mut bytes).map_err(failed)?;
        csv::read(path, &bytes)?
    };
    if sheet.rows == 0 {
        return Err(TableError::NoRows { path: path.to_owned() });
    }
    let names = || sheet.columns.iter().map(|column| &column.name);
    match names().enumerate().find(|&(index, name)| names().skip(index + 1).any(|other| other == name)) {
        Some((_, name)) => Err(TableError::ColumnTwice { path: path.to_owned(), column: name.clone() }),
        None => Ok(sheet),
    }
}
