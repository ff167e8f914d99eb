//! A file's cells as text, whatever the file is, so that one set of rules says which column is what.

use std::path::PathBuf;

/// A table; a missing value is empty text.
#[derive(Debug)]
pub struct Sheet {
    pub path: PathBuf,
    pub columns: Vec<Column>,
    pub places: Places,
    pub rows: usize,
}

#[derive(Debug)]
pub struct Column {
    pub name: String,
    /// One for every row.
    pub cells: Vec<String>,
}

/// How the rows of a sheet are called in errors.
#[derive(Debug)]
pub enum Places {
    /// Lines of a CSV file; a quoted cell may span several.
    Lines(Vec<u64>),
    /// Rows of a Parquet file.
    Rows,
}

impl Sheet {
    pub fn place(&self, row: usize) -> String {
        match &self.places {
            Places::Lines(lines) => format!("line {}", lines[row]),
            Places::Rows => format!("row {}", row + 1),
        }
    }

    /// The column of this name, if there is one.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The names of all columns, as errors list them.
    pub fn listing(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|column| format!("`{}`", column.name)).collect();
        names.join(", ")
    }
}

impl Column {
    /// Whether there is a number, and nothing but numbers where there is anything.
    pub fn is_numeric(&self) -> bool {
        let mut filled = self.cells.iter().filter(|cell| !cell.is_empty()).peekable();
        filled.peek().is_some() && filled.all(|cell| cell.parse::<f64>().is_ok())
    }
}
