//! Where a table is, as a command line names it: `FILE` or `FILE:COLUMN`.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A file, and which of its columns are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub path: PathBuf,
    /// A column, several with commas, or the start of several as `epoch_*`.
    pub columns: Option<String>,
}

impl FromStr for Location {
    type Err = Infallible;

    /// Splits at the first colon after which a file is named; colons may stand in names of folders, files and columns.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let whole = || Self { path: text.into(), columns: None };
        if Path::new(text).exists() {
            return Ok(whole());
        }
        let colons = || text.match_indices(':').map(|(place, _)| place);
        let of_a_file = colons().find(|&place| Path::new(&text[..place]).is_file());
        // A file that is not there is named in the error of reading it.
        let split = of_a_file.or_else(|| colons().next_back().filter(|&place| !text[place..].contains(['/', '\\'])));
        Ok(match split {
            Some(place) => Self { path: text[..place].into(), columns: Some(text[place + 1..].trim().to_owned()) },
            None => whole(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> (String, Option<String>) {
        let Ok(location) = text.parse::<Location>();
        (location.path.display().to_string(), location.columns)
    }

    #[test]
    fn the_column_follows_the_colon_after_the_file() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a:b.csv");
        std::fs::write(&path, "x").expect("a file");
        let file = path.display().to_string();
        assert_eq!(split(&file), (file.clone(), None));
        assert_eq!(split(&format!("{file}:accuracy")), (file.clone(), Some("accuracy".to_owned())));
        assert_eq!(split(&format!("{file}:top:1")), (file, Some("top:1".to_owned())));
    }

    #[test]
    fn a_file_that_is_not_there_keeps_its_name() {
        assert_eq!(split("missing.csv"), ("missing.csv".to_owned(), None));
        assert_eq!(split("missing.csv:accuracy"), ("missing.csv".to_owned(), Some("accuracy".to_owned())));
        assert_eq!(split("C:/missing.csv"), ("C:/missing.csv".to_owned(), None));
    }
}
