//! What a heat map shows.

use crate::report::ReportError;

/// `values[row][column]`, with a label for every row and column. A value that is not finite is gray.
#[derive(Clone, Debug, Default)]
pub struct HeatMap {
    pub title: String,
    /// One line under the title, or empty.
    pub subtitle: String,
    pub row_axis: String,
    pub column_axis: String,
    pub row_labels: Vec<String>,
    pub column_labels: Vec<String>,
    pub values: Vec<Vec<f64>>,
    /// What the color bar measures, with its unit.
    pub value_label: String,
    /// The ends of the color bar; without it, the largest absolute value. Values beyond it take the color of the end.
    pub limit: Option<f64>,
    /// Whether the last row is of another kind than those above, as the step with gradient zero is.
    pub last_row_apart: bool,
}

impl HeatMap {
    /// # Errors
    /// Labels that are not as many as the values.
    pub(super) fn check(&self) -> Result<(), ReportError> {
        let wrong = |axis, labels, values| Err(ReportError::Labels { title: self.title.clone(), axis, labels, values });
        let (rows, columns) = (self.row_labels.len(), self.column_labels.len());
        if rows != self.values.len() || rows == 0 {
            return wrong("row", rows, self.values.len());
        }
        match self.values.iter().find(|row| row.len() != columns || columns == 0) {
            Some(row) => wrong("column", columns, row.len()),
            None => Ok(()),
        }
    }
}
