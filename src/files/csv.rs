//! CSV files whose columns are known by name.

use super::FileError;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What can be wrong with a CSV file.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{}: its first line names the columns {found}, but it must name {needed}, in any order", path.display())]
    Columns { path: PathBuf, found: String, needed: String },
    #[error("{}, line {line}: {problem}", path.display())]
    Line { path: PathBuf, line: u64, problem: String },
    #[error("{}, line {line}, column `{column}`: `{text}` {problem}", path.display())]
    Cell { path: PathBuf, line: u64, column: &'static str, text: String, problem: String },
}

/// The rows of a file with `N` columns.
pub struct CsvFile<const N: usize> {
    path: PathBuf,
    columns: [&'static str; N],
    rows: Vec<(u64, [String; N])>,
}

/// One row; its cells are numbered as the columns were asked for.
#[derive(Clone, Copy)]
pub struct CsvRow<'a, const N: usize> {
    file: &'a CsvFile<N>,
    /// Counts from 1; the columns' names stand in line 1.
    pub line: u64,
    cells: &'a [String; N],
}

impl<const N: usize> CsvFile<N> {
    /// Reads a whole file with exactly these columns, in any order.
    ///
    /// # Errors
    /// A file that cannot be read, other columns, a row of another length.
    pub fn read(path: &Path, columns: [&'static str; N]) -> Result<Self, CsvError> {
        let bytes = std::fs::read(path).map_err(|cause| FileError::new("read", path, cause))?;
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(&bytes[..]);
        let header = reader.headers().map_err(|cause| error(path, cause))?.clone();
        let places = columns.map(|column| header.iter().position(|name| name == column));
        if header.len() != N || places.contains(&None) {
            let found = if header.is_empty() { "of an empty file".to_owned() } else { listed(header.iter()) };
            return Err(CsvError::Columns { path: path.to_owned(), found, needed: listed(columns.into_iter()) });
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|cause| error(path, cause))?;
            let line = record.position().map_or(0, |position| line_of(&bytes, position));
            rows.push((line, places.map(|place| record[place.unwrap_or_default()].to_owned())));
        }
        Ok(Self { path: path.to_owned(), columns, rows })
    }

    pub fn rows(&self) -> impl Iterator<Item = CsvRow<'_, N>> {
        self.rows.iter().map(|(line, cells)| CsvRow { file: self, line: *line, cells })
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl<const N: usize> CsvRow<'_, N> {
    pub fn text(&self, column: usize) -> &str {
        &self.cells[column]
    }

    /// A whole number that is not negative.
    ///
    /// # Errors
    /// Names the cell.
    pub fn count<T: FromStr>(&self, column: usize) -> Result<T, CsvError> {
        self.text(column)
            .parse()
            .map_err(|_| self.wrong(column, "is no whole number, or too large; write one from 0 on".to_owned()))
    }

    /// A finite number.
    ///
    /// # Errors
    /// Names the cell.
    pub fn number(&self, column: usize) -> Result<f64, CsvError> {
        let number = self.text(column).parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| self.wrong(column, "is no finite number; write one with all its digits".to_owned()))
    }

    /// An error of this cell; the problem follows its text.
    pub fn wrong(&self, column: usize, problem: String) -> CsvError {
        let (path, column_name) = (self.file.path.clone(), self.file.columns[column]);
        CsvError::Cell { path, line: self.line, column: column_name, text: self.text(column).to_owned(), problem }
    }

    /// An error of this row.
    pub fn problem(&self, problem: String) -> CsvError {
        CsvError::Line { path: self.file.path.clone(), line: self.line, problem }
    }
}

/// The line of `bytes` in which a record starts, from 1; its position still counts blank lines before it.
pub fn line_of(bytes: &[u8], position: &csv::Position) -> u64 {
    let from = bytes.get(position.byte() as usize..).unwrap_or_default();
    let blank = from.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + blank.filter(|&&byte| byte == b'\n').count() as u64
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn error(path: &Path, cause: csv::Error) -> CsvError {
    let line = cause.position().map_or(1, csv::Position::line);
    let path = path.to_owned();
    match cause.into_kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let problem = format!("it has {len} cells, but there are {expected_len} columns; write one cell a column");
            CsvError::Line { path, line, problem }
        }
        _ => CsvError::Line { path, line, problem: "it is not UTF-8 text; export the file again".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(u64, u32, f64)>, CsvError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("steps.csv");
        std::fs::write(&path, text).expect("a file");
        let file = CsvFile::read(&path, ["step", "loss"])?;
        file.rows().map(|row| Ok((row.line, row.count(0)?, row.number(1)?))).collect()
    }

    fn refused(text: &str) -> String {
        let error = read(text).expect_err(text).to_string();
        error.split_once("steps.csv").expect("the file is named").1.to_owned()
    }

    #[test]
    fn columns_are_found_by_name() {
        assert_eq!(read("loss, step\n0.5, 3\n1e-3,4\n").expect("a file"), [(2, 3, 0.5), (3, 4, 1e-3)]);
    }

    #[test]
    fn blank_lines_are_counted_and_left_out() {
        assert_eq!(read("step,loss\n\n3,0.5\n\r\n\n4,1\n").expect("a file"), [(3, 3, 0.5), (6, 4, 1.0)]);
    }

    #[test]
    fn errors_name_line_and_column() {
        let columns = ": its first line names the columns step, lost, but it must name step, loss, in any order";
        assert_eq!(refused("step,lost\n0,1\n"), columns);
        assert_eq!(refused(""), columns.replace("step, lost", "of an empty file"));
        assert!(refused("step,loss,extra\n").contains("the columns step, loss, extra, but"));
        let length = ", line 3: it has 1 cells, but there are 2 columns; write one cell a column";
        assert_eq!(refused("step,loss\n0,1\n1\n"), length);
        let count = ", line 2, column `step`: `-1` is no whole number, or too large; write one from 0 on";
        assert_eq!(refused("step,loss\n-1,1\n"), count);
        let number = ", line 2, column `loss`: `nan` is no finite number; write one with all its digits";
        assert_eq!(refused("step,loss\n0,nan\n"), number);
    }
}
