//! Sheets from CSV, whose columns are separated by commas, semicolons or tabs.

use super::TableError;
use super::sheet::{Column, Places, Sheet};
use crate::files::line_of;
use std::path::Path;

/// Reads a whole file; blanks around cells do not count.
pub fn read(path: &Path, bytes: &[u8]) -> Result<Sheet, TableError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).delimiter(delimiter(bytes)).from_reader(bytes);
    let failed = |cause| error(path, cause);
    let header = reader.headers().map_err(failed)?;
    let mut columns: Vec<Column> =
        header.iter().map(|name| Column { name: name.to_owned(), cells: Vec::new() }).collect();
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.map_err(failed)?;
        lines.push(record.position().map_or(0, |position| line_of(bytes, position)));
        columns.iter_mut().zip(record.iter()).for_each(|(column, cell)| column.cells.push(cell.to_owned()));
    }
    Ok(Sheet { path: path.to_owned(), columns, rows: lines.len(), places: Places::Lines(lines) })
}

/// The separator that the first line uses most, outside of quotes.
fn delimiter(bytes: &[u8]) -> u8 {
    let mut quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    for &byte in bytes.iter().take_while(|&&byte| byte != b'\n') {
        quoted ^= byte == b'"';
        if let Some((_, count)) = counts.iter_mut().find(|(separator, _)| *separator == byte && !quoted) {
            *count += 1;
        }
    }
    // The first of equals: a comma.
    counts.into_iter().rev().max_by_key(|&(_, count)| count).map_or(b',', |(separator, _)| separator)
}

fn error(path: &Path, cause: csv::Error) -> TableError {
    let line = cause.position().map_or(1, csv::Position::line);
    let problem = match cause.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} cells, but there are {expected_len} columns; write one cell a column")
        }
        _ => "it is not UTF-8 text; export the file again".to_owned(),
    };
    TableError::Csv { path: path.to_owned(), line, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separator_is_seen_in_the_first_line() {
        assert_eq!([&b"a,b\n1;2;3;4"[..], b"a;b,c;d", b"a\tb", b"a", b"\"a;b;c\",d"].map(delimiter), *b",;\t,,");
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let sheet = read(Path::new("t.csv"), "\u{feff}child;accuracy\n\n 111 ;0.5\n\"1\n2\";0.25\n333;\n".as_bytes());
        let sheet = sheet.expect("a sheet");
        assert_eq!(sheet.columns[0].name, "child");
        assert_eq!(sheet.columns[0].cells, ["111", "1\n2", "333"]);
        assert_eq!(sheet.columns[1].cells, ["0.5", "0.25", ""]);
        assert_eq!([0, 1, 2].map(|row| sheet.place(row)), ["line 3", "line 4", "line 6"]);
        let error = read(Path::new("t.csv"), b"a,b\n1,2\n3\n").expect_err("a short line").to_string();
        assert_eq!(error, "t.csv, line 3: it has 1 cells, but there are 2 columns; write one cell a column");
    }
}
