//! Plain text tables for a terminal.

use std::fmt;

/// Columns are as wide as their widest cell; a column whose every cell is a number is aligned to the right.
#[derive(Clone, Debug, Default)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new<T: Into<String>>(header: impl IntoIterator<Item = T>) -> Self {
        Self { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row; cells beyond the header's are shown under an empty one.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    fn column(&self, column: usize) -> Column {
        let cells = || self.rows.iter().filter_map(move |row| row.get(column));
        let header = self.header.get(column);
        Column {
            width: cells().chain(header).map(|cell| cell.chars().count()).max().unwrap_or(0),
            numbers: cells().all(|cell| is_number(cell)) && cells().any(|cell| !cell.is_empty()),
        }
    }
}

struct Column {
    width: usize,
    numbers: bool,
}

impl fmt::Display for Table {
    /// The header, a rule and the rows, each line with its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column_count = self.rows.iter().map(Vec::len).chain([self.header.len()]).max().unwrap_or(0);
        let columns: Vec<Column> = (0..column_count).map(|column| self.column(column)).collect();
        let rule: Vec<String> = columns.iter().map(|column| "-".repeat(column.width)).collect();
        for cells in [&self.header, &rule].into_iter().chain(&self.rows) {
            writeln!(f, "{}", line(&columns, cells).trim_end())?;
        }
        Ok(())
    }
}

fn line(columns: &[Column], cells: &[String]) -> String {
    let aligned = |(column, cell): (&Column, &String)| match (column.width, column.numbers) {
        (width, true) => format!("{cell:>width$}"),
        (width, false) => format!("{cell:<width$}"),
    };
    columns.iter().zip(cells).map(aligned).collect::<Vec<_>>().join("  ")
}

/// A number, perhaps with a sign, digit groups or a percent sign; also nothing and a dash, which stand for a number that is not there.
fn is_number(cell: &str) -> bool {
    let bare = cell.trim_end_matches(['%', ' ']).replace(',', "");
    matches!(bare.as_str(), "" | "-") || bare.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_on_the_right_and_text_on_the_left() {
        let mut table = Table::new(["child", "accuracy", "note"]);
        table.row(["a142", "91.5 %", "best"]);
        table.row(["b1", "8.0 %", ""]);
        table.row(["dead", "-", "none of its edges"]);
        let expected = "child  accuracy  note\n\
                        -----  --------  -----------------\n\
                        a142     91.5 %  best\n\
                        b1        8.0 %\n\
                        dead          -  none of its edges\n";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn a_table_without_rows_is_its_header() {
        assert_eq!(Table::new(["step", "loss"]).to_string(), "step  loss\n----  ----\n");
    }
}
