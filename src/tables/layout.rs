//! Which column of a table is what: named by the user, else by its name, else because no other can be.

use super::TableError;
use super::labels::numbered;
use super::sheet::Sheet;

const CHILD_NAMES: &[&str] = &["child", "architecture", "arch", "arch_str", "genotype", "model", "cell"];
const RECORD_NAMES: &[&str] = &["step", "epoch", "record", "iteration", "mini_batch"];
const RUN_NAMES: &[&str] = &["replica", "run", "seed", "instance", "trial"];
const NORM: &str = "norm";
/// Taken before other columns of numbers.
const VALUE_NAMES: &[&str] = &["accuracy", "accuracy_mean"];
/// Numbers that no table means as accuracies.
const COUNTER_NAMES: &[&str] = &["", "idx", "index", "__index_level_0__"];

/// Whether a table is the truth or a prediction: several columns of accuracies are runs of the one and records of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Truth,
    Predicted,
}

/// Columns that the user names; what is left open is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The first of these that the table has is its child.
    pub child: Vec<String>,
    /// Only a prediction must have it.
    pub record: Option<String>,
    pub run: Option<String>,
    /// Accuracies: a column, several with commas, or the start of several as `epoch_*`.
    pub values: Option<String>,
}

/// Columns by their number in the sheet.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    /// Without one, every column of accuracies is a child.
    pub child: Option<usize>,
    pub record: Option<usize>,
    pub run: Option<usize>,
    pub norm: Option<usize>,
    pub values: Vec<usize>,
}

impl Layout {
    /// # Errors
    /// A named column that is not there, and columns that could be meant but of which none stands out; both list the columns.
    pub fn of(sheet: &Sheet, side: Side, selection: &Selection) -> Result<Self, TableError> {
        let record = match &selection.record {
            Some(name) if side == Side::Predicted => Some(named(sheet, name)?),
            Some(name) => sheet.find(name),
            None => first_named(sheet, RECORD_NAMES),
        };
        let run = match &selection.run {
            Some(name) => sheet.find(name),
            None => first_named(sheet, RUN_NAMES),
        };
        let norm = sheet.find(NORM);
        let others = [record, run, norm];
        let child = child(sheet, &selection.child, &others)?;
        let mut layout = Self { child, record, run, norm, values: Vec::new() };
        layout.values = layout.values(sheet, selection.values.as_deref())?;
        if child.is_none() && (record.is_none() || layout.values.len() < 2) {
            return Err(TableError::WhichChild { path: sheet.path.clone(), columns: sheet.listing() });
        }
        match record {
            Some(record) if child.is_some() && layout.values.len() > 1 => Err(TableError::TwoKindsOfRecords {
                path: sheet.path.clone(),
                column: sheet.columns[record].name.clone(),
                values: layout.values.len(),
            }),
            _ => Ok(layout),
        }
    }

    fn values(&self, sheet: &Sheet, named_values: Option<&str>) -> Result<Vec<usize>, TableError> {
        let candidates = self.candidates(sheet);
        match named_values {
            Some(text) => named_columns(sheet, text, &candidates),
            None => self.unnamed_values(sheet, candidates),
        }
    }

    /// Columns of numbers with no other meaning.
    fn candidates(&self, sheet: &Sheet) -> Vec<usize> {
        let taken = [self.child, self.record, self.run, self.norm];
        let free = (0..sheet.columns.len()).filter(|&column| !taken.contains(&Some(column)));
        let is_counter = |column: usize| COUNTER_NAMES.contains(&sheet.columns[column].name.as_str());
        free.filter(|&column| !is_counter(column) && sheet.columns[column].is_numeric()).collect()
    }

    fn unnamed_values(&self, sheet: &Sheet, candidates: Vec<usize>) -> Result<Vec<usize>, TableError> {
        // A preferred name stands even if its cells are no numbers: that is an error of the cell.
        if let Some(preferred) = first_named(sheet, VALUE_NAMES) {
            return Ok(vec![preferred]);
        }
        let same_start = |columns: &[usize]| {
            let starts: Vec<_> = columns.iter().map(|&column| numbered(&sheet.columns[column].name)).collect();
            starts.iter().all(|start| start.is_some_and(|(start, _)| Some(start) == starts[0].map(|first| first.0)))
        };
        match candidates.as_slice() {
            [] => Err(TableError::NoValue { path: sheet.path.clone(), columns: sheet.listing() }),
            [_] => Ok(candidates),
            several if self.child.is_none() => Ok(several.to_vec()),
            several if same_start(several) => Ok(by_number(sheet, several.to_vec())),
            [first, ..] => Err(TableError::WhichValue {
                path: sheet.path.clone(),
                example: format!("{}:{}", sheet.path.display(), sheet.columns[*first].name),
                columns: sheet.listing(),
            }),
        }
    }
}

fn child(sheet: &Sheet, named_children: &[String], others: &[Option<usize>]) -> Result<Option<usize>, TableError> {
    if let Some(first) = named_children.first() {
        let found = named_children.iter().find_map(|name| sheet.find(name));
        return found.map_or_else(|| named(sheet, first), Ok).map(Some);
    }
    if let Some(child) = first_named(sheet, CHILD_NAMES) {
        return Ok(Some(child));
    }
    let is_text = |&column: &usize| {
        let cells = &sheet.columns[column];
        !others.contains(&Some(column)) && !cells.is_numeric() && cells.cells.iter().any(|cell| !cell.is_empty())
    };
    let texts: Vec<usize> = (0..sheet.columns.len()).filter(is_text).collect();
    match texts.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(*only)),
        _ => Err(TableError::WhichChild { path: sheet.path.clone(), columns: sheet.listing() }),
    }
}

fn first_named(sheet: &Sheet, names: &[&str]) -> Option<usize> {
    names.iter().find_map(|name| sheet.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name)))
}

fn named(sheet: &Sheet, name: &str) -> Result<usize, TableError> {
    let missing =
        || TableError::NoColumn { path: sheet.path.clone(), column: name.to_owned(), columns: sheet.listing() };
    sheet.find(name).ok_or_else(missing)
}

/// A column by its whole name, which may hold commas, else a list of names and starts of names.
fn named_columns(sheet: &Sheet, text: &str, candidates: &[usize]) -> Result<Vec<usize>, TableError> {
    if let Some(column) = sheet.find(text) {
        return Ok(vec![column]);
    }
    let mut columns = Vec::new();
    for name in text.split(',').map(str::trim) {
        let found = match name.strip_suffix('*') {
            None => vec![named(sheet, name)?],
            Some(start) => {
                let begins = |&column: &usize| sheet.columns[column].name.starts_with(start);
                by_number(sheet, candidates.iter().copied().filter(begins).collect())
            }
        };
        if found.is_empty() {
            named(sheet, name)?;
        }
        columns.extend(found.into_iter().filter(|column| !columns.contains(column)).collect::<Vec<_>>());
    }
    Ok(columns)
}

/// By the numbers at the end of their names, if all have one.
fn by_number(sheet: &Sheet, mut columns: Vec<usize>) -> Vec<usize> {
    let number = |column: &usize| numbered(&sheet.columns[*column].name).map(|(_, number)| number);
    if columns.iter().all(|column| number(column).is_some()) {
        columns.sort_by_key(number);
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::csv;
    use std::path::Path;

    fn sheet(text: &str) -> Sheet {
        csv::read(Path::new("t.csv"), text.as_bytes()).expect("a sheet")
    }

    fn found(text: &str, side: Side, values: Option<&str>) -> Result<(Option<usize>, Vec<usize>), String> {
        let selection = Selection { values: values.map(str::to_owned), ..Selection::default() };
        let layout = Layout::of(&sheet(text), side, &selection).map_err(|error| error.to_string())?;
        Ok((layout.child, layout.values))
    }

    const PREDICTED: Side = Side::Predicted;

    #[test]
    fn columns_are_found_by_their_names() {
        let run = "step,replica,child,norm,loss,accuracy,correct,images\n1,0,111,batch,2.3,0.1,1,10\n";
        let layout = Layout::of(&sheet(run), PREDICTED, &Selection::default()).expect("a layout");
        let expected = Layout { child: Some(2), record: Some(0), run: Some(1), norm: Some(3), values: vec![5] };
        assert_eq!(layout, expected);
        let published = "child,accuracy_mean,accuracy_std,runs\n111,0.7,0.01,10\n";
        assert_eq!(found(published, Side::Truth, None), Ok((Some(0), vec![1])));
    }

    #[test]
    fn a_child_or_a_value_that_is_the_only_one_needs_no_name() {
        assert_eq!(found("net,top1\na,0.5\nb,0.6\n", PREDICTED, None), Ok((Some(0), vec![1])));
        assert_eq!(found("idx,arch,score\n0,|x~0|,3\n", PREDICTED, None), Ok((Some(1), vec![2])));
    }

    #[test]
    fn several_candidates_are_an_error_that_lists_them() {
        let error = found("idx,arch,val,test\n0,x,1,2\n", PREDICTED, None).expect_err("two values");
        let expected = "t.csv: which column holds the accuracy? Name one after a colon, as in `t.csv:val`; \
                        there are `idx`, `arch`, `val`, `test`";
        assert_eq!(error, expected);
        let error = found("a,b,val\nx,y,1\n", PREDICTED, None).expect_err("two texts");
        assert_eq!(error, "t.csv: which column holds the child? Name it with --child; there are `a`, `b`, `val`");
        let error = found("child,val\nx,1\n", PREDICTED, Some("test")).expect_err("no such column");
        assert_eq!(error, "t.csv has no column `test`; it has `child`, `val`");
        let error = found("child,note\nx,good\n", PREDICTED, None).expect_err("no number");
        assert!(error.contains("no column but those of child, record and run holds numbers"), "{error}");
    }

    #[test]
    fn columns_that_count_up_are_records_in_numeric_order() {
        let wide = "child,epoch_10,epoch_9\na,1,2\n";
        assert_eq!(found(wide, PREDICTED, None), Ok((Some(0), vec![2, 1])));
        assert_eq!(found(wide, PREDICTED, Some("epoch_*")), Ok((Some(0), vec![2, 1])));
        assert_eq!(found(wide, PREDICTED, Some("epoch_10,epoch_9")), Ok((Some(0), vec![1, 2])));
        let error = found(wide, PREDICTED, Some("step_*")).expect_err("none begins so");
        assert!(error.contains("no column `step_*`"), "{error}");
    }

    #[test]
    fn a_table_of_steps_by_children_has_a_child_a_column() {
        assert_eq!(found("epoch,111,112\n1,0.5,0.6\n", PREDICTED, None), Ok((None, vec![1, 2])));
        assert!(found("111,112\n0.5,0.6\n", PREDICTED, None).expect_err("no records").contains("--child"));
    }

    #[test]
    fn records_are_told_apart_by_one_thing_only() {
        let error = found("step,child,a,b\n1,x,1,2\n", PREDICTED, Some("a,b")).expect_err("two kinds");
        assert!(error.starts_with("t.csv: `step` tells records apart, and so do the 2 columns"), "{error}");
    }
}
