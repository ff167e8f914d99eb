//! A table's accuracies by regime, run, record and child.

use super::TableError;
use super::file::read_sheet;
use super::labels::distinct;
use super::layout::{Layout, Selection, Side};
use super::sheet::Sheet;
use crate::space::{Child, Space};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// A child as tables are joined by it, in the order of the space, or of the text where there is no space.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChildName {
    /// If there is a space.
    pub child: Option<Child>,
    /// As the space writes it, or else the table.
    pub text: String,
}

/// The accuracies of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct Accuracies {
    pub path: PathBuf,
    /// Name of the column of accuracies; `FIRST to LAST` of several, and `accuracy` where every column is a child.
    pub value: String,
    /// Name of the column that tells runs apart, if there is one.
    pub run_column: Option<String>,
    /// One a regime of batch normalization, or a single one without a name.
    pub groups: Vec<Group>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub norm: Option<String>,
    pub runs: Vec<Run>,
}

/// The records of a run, in time.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// If a column tells runs apart, or several columns are runs.
    pub name: Option<String>,
    pub records: Vec<Record>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub name: String,
    pub accuracies: BTreeMap<ChildName, f64>,
}

impl Accuracies {
    /// Reads a table. With a space, its children are parsed; without, they are their text.
    ///
    /// An empty accuracy is none: the child is missing in that record.
    ///
    /// # Errors
    /// A file that cannot be read, columns that cannot be told, a child that is missing or does not parse, a child that stands twice in
    /// a record, and an accuracy that is not finite; all name their place.
    pub fn read(path: &Path, side: Side, selection: &Selection, space: Option<&Space>) -> Result<Self, TableError> {
        let sheet = read_sheet(path)?;
        let layout = Layout::of(&sheet, side, selection)?;
        let mut reader = Reader { sheet: &sheet, layout: &layout, side, space, found: BTreeMap::new() };
        let labels = Labels::of(&sheet, &layout, side);
        reader.collect(&labels)?;
        if reader.found.is_empty() {
            return Err(TableError::NoAccuracies { path: path.to_owned(), column: layout.value_name(&sheet) });
        }
        Ok(Self {
            path: path.to_owned(),
            value: layout.value_name(&sheet),
            run_column: layout.run.map(|column| sheet.columns[column].name.clone()),
            groups: reader.groups(&labels),
        })
    }

    /// With the sign of every number changed: of errors and losses, where the lowest is the best, whatever ranks the highest first.
    #[must_use]
    pub fn negated(mut self) -> Self {
        let records = self.groups.iter_mut().flat_map(|group| &mut group.runs).flat_map(|run| &mut run.records);
        records.flat_map(|record| record.accuracies.values_mut()).for_each(|value| *value = -*value);
        self
    }

    /// The group of a regime, or all of them for none.
    ///
    /// # Errors
    /// A regime that the table lacks; `option` is what named it.
    pub fn of_norm(mut self, norm: Option<&str>, option: &'static str) -> Result<Self, TableError> {
        let Some(norm) = norm else { return Ok(self) };
        let found = self.norms();
        if found.is_empty() {
            return Err(TableError::NoNorms { path: self.path, option });
        }
        self.groups.retain(|group| group.norm.as_deref() == Some(norm));
        if self.groups.is_empty() {
            return Err(TableError::NoNorm { path: self.path, norm: norm.to_owned(), found });
        }
        Ok(self)
    }

    /// The regimes, as errors list them.
    pub(super) fn norms(&self) -> String {
        let norms: Vec<&str> = self.groups.iter().filter_map(|group| group.norm.as_deref()).collect();
        norms.join(", ")
    }
}

/// What the groups, runs and records of a table are called, in their order.
struct Labels {
    norms: Axis,
    runs: Axis,
    records: Axis,
}

struct Axis {
    names: Vec<String>,
    /// Number of its name for every row; empty where a column has none of its own.
    of_row: Vec<usize>,
}

impl Axis {
    fn of(sheet: &Sheet, column: Option<usize>) -> Self {
        let Some(column) = column else { return Self { names: vec![String::new()], of_row: Vec::new() } };
        let cells = &sheet.columns[column].cells;
        let names = distinct(cells);
        let numbers: HashMap<&String, usize> = names.iter().enumerate().map(|(number, name)| (name, number)).collect();
        let of_row = cells.iter().map(|cell| numbers[cell]).collect();
        Self { names, of_row }
    }

    /// None where nothing names them.
    fn name(&self, number: usize) -> Option<String> {
        Some(self.names[number].clone()).filter(|name| !name.is_empty())
    }

    fn at(&self, row: usize) -> usize {
        self.of_row.get(row).copied().unwrap_or(0)
    }
}

impl Labels {
    fn of(sheet: &Sheet, layout: &Layout, side: Side) -> Self {
        let [norms, runs, records] = [layout.norm, layout.run, layout.record].map(|column| Axis::of(sheet, column));
        let mut labels = Self { norms, runs, records };
        if layout.values_are_series() {
            let names = layout.values.iter().map(|&column| sheet.columns[column].name.clone()).collect();
            match side {
                Side::Truth => labels.runs.names = names,
                Side::Predicted => labels.records.names = names,
            }
        }
        labels
    }
}

impl Layout {
    /// Whether the columns of accuracies are runs or records, and not children.
    fn values_are_series(&self) -> bool {
        self.child.is_some() && self.values.len() > 1
    }

    fn value_name(&self, sheet: &Sheet) -> String {
        let name = |column: &usize| sheet.columns[*column].name.as_str();
        match (self.values.as_slice(), self.child) {
            ([only], _) => name(only).to_owned(),
            ([first, .., last], Some(_)) => format!("{} to {}", name(first), name(last)),
            _ => "accuracy".to_owned(),
        }
    }
}

/// Numbers of a regime, run and record in [`Labels`].
type Place = [usize; 3];

struct Reader<'a> {
    sheet: &'a Sheet,
    layout: &'a Layout,
    side: Side,
    space: Option<&'a Space>,
    /// Accuracy, and the row that it stands in.
    found: BTreeMap<Place, BTreeMap<ChildName, (f64, usize)>>,
}

impl Reader<'_> {
    fn collect(&mut self, labels: &Labels) -> Result<(), TableError> {
        for row in 0..self.sheet.rows {
            let child = self.layout.child.map(|column| self.child(row, column)).transpose()?;
            for (index, &column) in self.layout.values.iter().enumerate() {
                let child = match &child {
                    Some(child) => child.clone(),
                    None => self.named_child(&self.sheet.columns[column].name, "line 1".to_owned())?,
                };
                let Some(accuracy) = self.number(row, column, &child)? else { continue };
                let place = self.place(row, index, labels);
                self.add(place, child, accuracy, row, labels)?;
            }
        }
        Ok(())
    }

    fn child(&self, row: usize, column: usize) -> Result<ChildName, TableError> {
        let column = &self.sheet.columns[column];
        let place = self.sheet.place(row);
        if column.cells[row].is_empty() {
            return Err(TableError::NoChild { path: self.sheet.path.clone(), place, column: column.name.clone() });
        }
        self.named_child(&column.cells[row], place)
    }

    fn named_child(&self, text: &str, place: String) -> Result<ChildName, TableError> {
        let Some(space) = self.space else { return Ok(ChildName { child: None, text: text.to_owned() }) };
        let failed = |cause| TableError::Child { path: self.sheet.path.clone(), place, cause: Box::new(cause) };
        let child = space.read_child(text).map_err(failed)?;
        Ok(ChildName { text: space.format_child(&child), child: Some(child) })
    }

    fn number(&self, row: usize, column: usize, child: &ChildName) -> Result<Option<f64>, TableError> {
        let column = &self.sheet.columns[column];
        let text = &column.cells[row];
        if text.is_empty() {
            return Ok(None);
        }
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.map(Some).ok_or_else(|| TableError::Number {
            path: self.sheet.path.clone(),
            place: self.sheet.place(row),
            child: child.text.clone(),
            column: column.name.clone(),
            text: text.clone(),
        })
    }

    fn place(&self, row: usize, value: usize, labels: &Labels) -> Place {
        let mut place = [labels.norms.at(row), labels.runs.at(row), labels.records.at(row)];
        if self.layout.values_are_series() {
            place[if self.side == Side::Truth { 1 } else { 2 }] = value;
        }
        place
    }

    fn add(
        &mut self,
        place: Place,
        child: ChildName,
        accuracy: f64,
        row: usize,
        labels: &Labels,
    ) -> Result<(), TableError> {
        let record = self.found.entry(place).or_default();
        if let Some(&(_, first)) = record.get(&child) {
            return Err(TableError::Duplicate {
                path: self.sheet.path.clone(),
                child: child.text,
                within: self.within(place, labels),
                first: self.sheet.place(first),
                second: self.sheet.place(row),
            });
        }
        record.insert(child, (accuracy, row));
        Ok(())
    }

    /// Which record this is, as an error says it.
    fn within(&self, place: Place, labels: &Labels) -> String {
        let columns = [self.layout.norm, self.layout.run, self.layout.record];
        let parts: Vec<String> = columns
            .into_iter()
            .zip([&labels.norms, &labels.runs, &labels.records])
            .zip(place)
            .filter_map(|((column, axis), index)| {
                Some(format!("{} {}", self.sheet.columns[column?].name, axis.names[index]))
            })
            .collect();
        if parts.is_empty() { String::new() } else { format!(" at {}", parts.join(", ")) }
    }

    fn groups(self, labels: &Labels) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut last: Option<[usize; 2]> = None;
        for ([norm, run, record], accuracies) in self.found {
            if last.map(|[last_norm, _]| last_norm) != Some(norm) {
                let norm = self.layout.norm.map(|_| labels.norms.names[norm].clone());
                groups.push(Group { norm, runs: Vec::new() });
            }
            let Some(group) = groups.last_mut() else { continue };
            if last != Some([norm, run]) {
                group.runs.push(Run { name: labels.runs.name(run), records: Vec::new() });
            }
            last = Some([norm, run]);
            let accuracies = accuracies.into_iter().map(|(child, (accuracy, _))| (child, accuracy)).collect();
            if let Some(run) = group.runs.last_mut() {
                run.records.push(Record { name: labels.records.names[record].clone(), accuracies });
            }
        }
        groups
    }
}
