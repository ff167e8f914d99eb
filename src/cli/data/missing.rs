//! What to do where a run's data set is not there.

use crate::data::fetch::known_sets;
use crate::data::{DataError, Source};
use crate::train::TrainError;
use std::io::ErrorKind;
use std::path::Path;

/// The error of a run whose data are `source`: where they are missing, with how to name others and how to download them.
pub fn with_way_out(error: TrainError, source: &Source) -> anyhow::Error {
    let way_out = match &error {
        TrainError::Data(DataError::Unreadable { cause, .. }) if cause.kind() != ErrorKind::NotFound => None,
        TrainError::Data(DataError::Unreadable { .. } | DataError::Missing { .. }) => way_out(source),
        _ => None,
    };
    match way_out {
        Some(way_out) => anyhow::anyhow!("{error}, {way_out}"),
        None => error.into(),
    }
}

/// `None` for what is inside the program.
fn way_out(source: &Source) -> Option<String> {
    let (kind, path): (_, &Path) = match source {
        Source::Digits => return None,
        Source::Cifar10(path) => ("cifar10:PATH", path),
        Source::Idx(folder) => ("idx:FOLDER", folder),
    };
    let fits = known_sets().iter().filter(|set| (set.source)(path) == *source);
    let named = fits.clone().find(|set| path.file_name().is_some_and(|name| name == set.name));
    let sets: Vec<&str> = named.map_or_else(|| fits.map(|set| set.name).collect(), |set| vec![set.name]);
    // A file's name says nothing of a folder to download into.
    let to = if path.extension().is_none() { format!(" --to {}", path.display()) } else { String::new() };
    let commands: Vec<String> = sets.iter().map(|set| format!("`crosstalk data fetch {set}{to}`")).collect();
    Some(format!("name the data set with --data {kind}, or download one with {}", commands.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_in_files_is_offered_the_sets_that_can_be_fetched_for_it() {
        let told = |source: &str| way_out(&source.parse().expect("a source"));
        assert_eq!(told("digits"), None);
        let cifar10 = "name the data set with --data cifar10:PATH, or download one with `crosstalk data fetch cifar10";
        assert_eq!(told("cifar10:some/where"), Some(format!("{cifar10} --to some/where`")));
        assert_eq!(told("cifar10:all.bin"), Some(format!("{cifar10}`")));
        let fashion = told("idx:sets/fashion-mnist").expect("a way out");
        assert!(fashion.ends_with("download one with `crosstalk data fetch fashion-mnist --to sets/fashion-mnist`"));
        let some = told("idx:some").expect("a way out");
        assert!(
            some.ends_with("`crosstalk data fetch mnist --to some` or `crosstalk data fetch fashion-mnist --to some`")
        );
    }
}
