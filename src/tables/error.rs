//! What can be wrong with a table of accuracies.

use crate::files::FileError;
use crate::space::ChildError;
use std::path::PathBuf;

/// `place` is `line 3` of a CSV file, whose first line names the columns, or `row 2` of a Parquet file.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("{}, line {line}: {problem}", path.display())]
    Csv { path: PathBuf, line: u64, problem: String },
    #[error("{} is a damaged or unusual Parquet file: {reason}; write it again", path.display())]
    Parquet { path: PathBuf, reason: String },
    #[error("{} has no rows; give a table with a row for every child", path.display())]
    NoRows { path: PathBuf },
    #[error("{} has no accuracy in `{column}`: every cell is empty; name another column, as in `FILE:COLUMN`", path.display())]
    NoAccuracies { path: PathBuf, column: String },
    #[error("{} has no column `{column}`; it has {columns}", path.display())]
    NoColumn { path: PathBuf, column: String, columns: String },
    #[error("{} names the column `{column}` twice; rename one", path.display())]
    ColumnTwice { path: PathBuf, column: String },
    #[error("{}: which column holds the child? Name it with --child; there are {columns}", path.display())]
    WhichChild { path: PathBuf, columns: String },
    #[error("{}: which column holds the accuracy? Name one after a colon, as in `{example}`; there are {columns}", path.display())]
    WhichValue { path: PathBuf, example: String, columns: String },
    #[error("{}: no column but those of child, record and run holds numbers; add one with accuracies to {columns}", path.display())]
    NoValue { path: PathBuf, columns: String },
    #[error(
        "{}: `{column}` tells records apart, and so do the {values} columns of accuracies that were named; name one column of accuracies",
        path.display()
    )]
    TwoKindsOfRecords { path: PathBuf, column: String, values: usize },
    #[error("{}, {place}: the child is missing in column `{column}`; fill it in or remove the row", path.display())]
    NoChild { path: PathBuf, place: String, column: String },
    #[error("{}, {place}: {cause}", path.display())]
    Child { path: PathBuf, place: String, cause: Box<ChildError> },
    #[error(
        "{}, {place}, child `{child}`: `{text}` in column `{column}` is no finite number; correct it, or leave it empty if there is none",
        path.display()
    )]
    Number { path: PathBuf, place: String, child: String, column: String, text: String },
    #[error(
        "{} has the child `{child}` twice{within}, in {first} and {second}; remove one, or name the column that tells them apart with --record or --run",
        path.display()
    )]
    Duplicate { path: PathBuf, child: String, within: String, first: String, second: String },
    #[error("{} holds {runs} stand-alone runs, which give the noise ceiling; leave out --second-truth", path.display())]
    SecondOfSeveral { path: PathBuf, runs: usize },
    #[error(
        "{} has {count} of the joined children, too few for a noise ceiling; give --second-truth a table that has more of them",
        path.display()
    )]
    FewMeasuredAgain { path: PathBuf, count: usize },
    #[error("{} has results under the regimes {found}; choose one with {option}", path.display())]
    WhichNorm { path: PathBuf, found: String, option: &'static str },
    #[error("{} has no results under `{norm}`; its regimes are {found}", path.display())]
    NoNorm { path: PathBuf, norm: String, found: String },
    #[error("{} has no column `norm` that tells regimes apart; leave {option} out", path.display())]
    NoNorms { path: PathBuf, option: &'static str },
    #[error(
        "no child of {} is in {}{within}: the first call theirs {truth_examples}, the second {predicted_examples}; \
         write both alike, or give the search space with --space",
        truth.display(), predicted.display()
    )]
    NothingJoined {
        truth: PathBuf,
        predicted: PathBuf,
        within: String,
        truth_examples: String,
        predicted_examples: String,
    },
    #[error(
        "{}{within}: no child has an accuracy in every record; name one record's column, or evaluate the same children in all",
        path.display()
    )]
    NoCommonChildren { path: PathBuf, within: String },
}
