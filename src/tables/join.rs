//! Truth and prediction of the same children.

use super::TableError;
use super::accuracies::{Accuracies, ChildName, Group};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What the children really reach.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    pub path: PathBuf,
    pub column: String,
    /// Accuracy in every run, if there; at least one.
    children: BTreeMap<ChildName, Vec<Option<f64>>>,
    pub runs: usize,
    /// Another measurement of the same children, which says how certain the truth is.
    second: Option<Second>,
}

#[derive(Clone, Debug, PartialEq)]
struct Second {
    path: PathBuf,
    children: BTreeMap<ChildName, f64>,
}

impl Truth {
    /// The last record of every run of a table.
    ///
    /// # Errors
    /// A table with several regimes, which cannot all be the truth.
    pub fn of(table: Accuracies) -> Result<Self, TableError> {
        let (path, column, norms) = (table.path.clone(), table.value.clone(), table.norms());
        let mut groups = table.groups;
        let group = groups.pop();
        if !groups.is_empty() {
            return Err(TableError::WhichNorm { path, found: norms, option: "--truth-norm" });
        }
        let runs = group.map(|group| group.runs).unwrap_or_default();
        let mut children: BTreeMap<ChildName, Vec<Option<f64>>> = BTreeMap::new();
        let run_count = runs.len();
        for (index, run) in runs.into_iter().enumerate() {
            let last = run.records.into_iter().next_back();
            for (child, accuracy) in last.map(|record| record.accuracies).unwrap_or_default() {
                children.entry(child).or_insert_with(|| vec![None; run_count])[index] = Some(accuracy);
            }
        }
        Ok(Self { path, column, children, runs: run_count, second: None })
    }

    /// The truth with a second measurement of its children by other trainings.
    ///
    /// # Errors
    /// A truth of several runs, which says itself how certain it is.
    pub fn measured_again(self, second: &Self) -> Result<Self, TableError> {
        if self.runs > 1 {
            return Err(TableError::SecondOfSeveral { path: self.path, runs: self.runs });
        }
        let children = second.children.iter().map(|(child, runs)| (child.clone(), mean(runs))).collect();
        Ok(Self { second: Some(Second { path: second.path.clone(), children }), ..self })
    }

    /// Accuracies of these children in every stand-alone run, or measurement, of those that have all.
    fn stand_alone(&self, children: &[&ChildName]) -> Result<Vec<Vec<f64>>, TableError> {
        let of_child = |child: &&ChildName| -> Option<Vec<f64>> {
            let runs = &self.children[*child];
            match &self.second {
                Some(second) => Some(vec![mean(runs), *second.children.get(*child)?]),
                None => runs.iter().copied().collect(),
            }
        };
        let complete: Vec<Vec<f64>> = children.iter().filter_map(of_child).collect();
        match &self.second {
            Some(second) if complete.len() < 2 => {
                return Err(TableError::FewMeasuredAgain { path: second.path.clone(), count: complete.len() });
            }
            _ => {}
        }
        let count = if self.second.is_some() { 2 } else { self.runs };
        Ok((0..count).map(|run| complete.iter().map(|runs| runs[run]).collect()).collect())
    }

    pub fn children(&self) -> usize {
        self.children.len()
    }
}

/// How many children there are, and how many the join left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinCounts {
    /// In both tables.
    pub joined: usize,
    /// Predicted in every record, without a truth.
    pub without_truth: usize,
    /// With a truth, and predicted in no record.
    pub without_prediction: usize,
    /// Predicted in some records and missing in others.
    pub incomplete: usize,
}

/// Truth and prediction of the children that both have. Values stand in the order of `children`.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    pub norm: Option<String>,
    pub counts: JoinCounts,
    pub children: Vec<ChildName>,
    /// The mean over the runs that the truth has of a child.
    pub truth: Vec<f64>,
    /// The truth's runs, or the truth and its second measurement, of the children that have all of them.
    pub truth_runs: Vec<Vec<f64>>,
    /// At least one.
    pub runs: Vec<JoinedRun>,
}

/// A predicted run; at least one record.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinedRun {
    pub name: Option<String>,
    pub record_names: Vec<String>,
    /// `records[record][child]`.
    pub records: Vec<Vec<f64>>,
}

/// Joins a group of the predicted table with the truth.
///
/// # Errors
/// No child in all records, and none in both tables.
pub fn join(truth: &Truth, predicted: &Accuracies, group: &Group) -> Result<Joined, TableError> {
    let within = group.norm.as_ref().map(|norm| format!(" under {norm} statistics")).unwrap_or_default();
    let mut records = group.runs.iter().flat_map(|run| &run.records).map(|record| &record.accuracies);
    let mut complete: BTreeSet<&ChildName> = records.next().into_iter().flat_map(BTreeMap::keys).collect();
    let mut seen = complete.clone();
    for record in records {
        complete.retain(|child| record.contains_key(child));
        seen.extend(record.keys());
    }
    if complete.is_empty() {
        return Err(TableError::NoCommonChildren { path: predicted.path.clone(), within });
    }
    let children: Vec<&ChildName> =
        complete.iter().copied().filter(|child| truth.children.contains_key(child)).collect();
    if children.is_empty() {
        return Err(TableError::NothingJoined {
            truth: truth.path.clone(),
            predicted: predicted.path.clone(),
            within,
            truth_examples: examples(truth.children.keys()),
            predicted_examples: examples(complete.iter().copied()),
        });
    }
    let counts = JoinCounts {
        joined: children.len(),
        without_truth: complete.len() - children.len(),
        without_prediction: truth.children.keys().filter(|child| !seen.contains(child)).count(),
        incomplete: seen.len() - complete.len(),
    };
    Ok(Joined {
        norm: group.norm.clone(),
        counts,
        truth: children.iter().map(|child| mean(&truth.children[*child])).collect(),
        truth_runs: truth.stand_alone(&children)?,
        runs: group
            .runs
            .iter()
            .map(|run| JoinedRun {
                name: run.name.clone(),
                record_names: run.records.iter().map(|record| record.name.clone()).collect(),
                records: run
                    .records
                    .iter()
                    .map(|record| children.iter().map(|child| record.accuracies[*child]).collect())
                    .collect(),
            })
            .collect(),
        children: children.into_iter().cloned().collect(),
    })
}

fn mean(values: &[Option<f64>]) -> f64 {
    let there: Vec<f64> = values.iter().copied().flatten().collect();
    there.iter().sum::<f64>() / there.len() as f64
}

/// A few children, to show how a table writes them.
fn examples<'a>(children: impl Iterator<Item = &'a ChildName>) -> String {
    children.take(3).map(|child| format!("`{}`", child.text)).collect::<Vec<_>>().join(", ")
}
