//! Sheets from Parquet, as pandas, polars, DuckDB and this program write it.

use super::TableError;
use super::sheet::{Column, Places, Sheet};
use ::parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use std::error::Error;
use std::fs::File;
use std::path::Path;

/// Reads a whole file. Numbers become their shortest exact text; columns of other types than text and numbers are left out.
pub fn read(path: &Path, file: File) -> Result<Sheet, TableError> {
    let failed = |reason: String| TableError::Parquet { path: path.to_owned(), reason };
    // The parquet crate panics on some damaged pages.
    let read = std::panic::catch_unwind(|| read_columns(file));
    let (columns, rows) =
        read.map_err(|_| failed("a page is damaged".to_owned()))?.map_err(|cause| failed(cause.to_string()))?;
    Ok(Sheet { path: path.to_owned(), columns, rows, places: Places::Rows })
}

type Cells = Vec<String>;

fn read_columns(file: File) -> Result<(Vec<Column>, usize), Box<dyn Error>> {
    // Without the writer's Arrow schema there are fewer types: text is text, and not a dictionary or a view.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?;
    let fields = builder.schema().fields().clone();
    let mut columns: Vec<Option<Cells>> = vec![Some(Vec::new()); fields.len()];
    let mut rows = 0;
    for batch in builder.build()? {
        let batch = batch?;
        rows += batch.num_rows();
        for (column, array) in columns.iter_mut().zip(batch.columns()) {
            *column = column.take().zip(texts(array)).map(|(mut cells, more)| {
                cells.extend(more);
                cells
            });
        }
    }
    let named = fields.iter().zip(columns);
    let usable = named.filter_map(|(field, cells)| Some(Column { name: field.name().clone(), cells: cells? }));
    Ok((usable.collect(), rows))
}

/// Every value as text; `None` for a type that is neither text nor number.
fn texts(array: &ArrayRef) -> Option<Cells> {
    let text = |cell: Option<&str>| cell.unwrap_or_default().trim().to_owned();
    Some(match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().map(text).collect(),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().map(text).collect(),
        DataType::Utf8View => array.as_string_view().iter().map(text).collect(),
        DataType::Int8 => numbers::<Int8Type>(array),
        DataType::Int16 => numbers::<Int16Type>(array),
        DataType::Int32 => numbers::<Int32Type>(array),
        DataType::Int64 => numbers::<Int64Type>(array),
        DataType::UInt8 => numbers::<UInt8Type>(array),
        DataType::UInt16 => numbers::<UInt16Type>(array),
        DataType::UInt32 => numbers::<UInt32Type>(array),
        DataType::UInt64 => numbers::<UInt64Type>(array),
        DataType::Float16 => numbers::<Float16Type>(array),
        DataType::Float32 => numbers::<Float32Type>(array),
        DataType::Float64 => numbers::<Float64Type>(array),
        _ => return None,
    })
}

fn numbers<T: ArrowPrimitiveType>(array: &ArrayRef) -> Cells
where
    T::Native: ToString,
{
    array.as_primitive::<T>().iter().map(|value| value.map(|value| value.to_string()).unwrap_or_default()).collect()
}
