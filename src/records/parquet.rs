//! Tables in Parquet, for pandas, polars, DuckDB and for this program.

use super::{Record, RecordError};
use crate::files::{FileError, write_bytes_atomically};
use ::parquet::arrow::ArrowWriter;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ::parquet::basic::Compression;
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, Schema};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Rows that are turned into arrays at a time.
const BATCH_ROWS: usize = 1 << 16;

/// Writes a table durably (`files::write_atomically`), compressed with Snappy; equal rows give equal bytes.
///
/// # Errors
///
/// Names the file, and the column where a number is too large; an earlier file is then as before.
pub fn write_parquet<R: Record>(path: &Path, rows: &[R]) -> Result<(), RecordError> {
    let not_written = |error: ParquetError| FileError::new("write", path, std::io::Error::other(error.to_string()));
    let schema = schema_of::<R>();
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(concat!("crosstalk ", env!("CARGO_PKG_VERSION")).to_string())
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties)).map_err(not_written)?;
    for rows in rows.chunks(BATCH_ROWS) {
        let arrays =
            R::arrays(rows).map_err(|column| RecordError::NumberTooLarge { path: path.to_path_buf(), column })?;
        let batch = RecordBatch::try_new(schema.clone(), arrays).map_err(|error| not_written(error.into()))?;
        writer.write(&batch).map_err(not_written)?;
    }
    let bytes = writer.into_inner().map_err(not_written)?;
    Ok(write_bytes_atomically(path, &bytes)?)
}

/// Reads a whole table.
///
/// # Errors
///
/// Names the file: not readable, not Parquet, truncated, or with other columns than `R` has.
pub fn read_parquet<R: Record>(path: &Path) -> Result<Vec<R>, RecordError> {
    let file = File::open(path).map_err(|cause| FileError::new("read", path, cause))?;
    // The parquet crate panics on some damaged pages.
    std::panic::catch_unwind(|| read_rows(path, file)).unwrap_or_else(|_| {
        Err(RecordError::NotParquet { path: path.to_path_buf(), reason: "a page is damaged".to_string() })
    })
}

fn read_rows<R: Record>(path: &Path, file: File) -> Result<Vec<R>, RecordError> {
    let not_parquet =
        |error: &dyn std::error::Error| RecordError::NotParquet { path: path.to_path_buf(), reason: error.to_string() };
    let other_columns = |reason| RecordError::OtherColumns { path: path.to_path_buf(), reason };
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| not_parquet(&error))?;
    check_columns::<R>(builder.schema()).map_err(other_columns)?;
    let batches = builder.with_batch_size(BATCH_ROWS).build().map_err(|error| not_parquet(&error))?;
    let mut rows = Vec::new();
    for batch in batches {
        let batch: RecordBatch = batch.map_err(|error: ArrowError| not_parquet(&error))?;
        let values = R::from_arrays(batch.num_rows(), batch.columns());
        rows.extend(values.ok_or_else(|| other_columns("a value is missing or out of range".to_string()))?);
    }
    Ok(rows)
}

fn schema_of<R: Record>() -> Arc<Schema> {
    Arc::new(Schema::new(R::columns().iter().map(|column| column.field()).collect::<Vec<_>>()))
}

fn check_columns<R: Record>(found: &Schema) -> Result<(), String> {
    let names = |schema: &Schema| -> Vec<String> { schema.fields().iter().map(|f| f.name().clone()).collect() };
    let expected = schema_of::<R>();
    if names(&expected) != names(found) {
        return Err(format!("they are {} instead of {}", names(found).join(", "), names(&expected).join(", ")));
    }
    for (expected, found) in expected.fields().iter().zip(found.fields()) {
        let (name, type_due, type_found) = (expected.name(), expected.data_type(), found.data_type());
        if type_due != type_found {
            return Err(format!("column `{name}` holds {type_found} instead of {type_due}"));
        }
    }
    Ok(())
}
