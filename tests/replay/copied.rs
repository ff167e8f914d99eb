//! Traces with a change.

use crate::committed;
use crate::common::command::Workshop;
use crosstalk::tensors::TensorFile;
use std::path::{Path, PathBuf};

/// A copy of a trace, to be changed.
pub struct Copied {
    pub shop: Workshop,
}

impl Copied {
    pub fn of(name: &str) -> Self {
        let shop = Workshop::new();
        copy(&committed(name), &shop.path("trace"));
        Self { shop }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.shop.path("trace").join(name)
    }

    /// Replaces the first occurrence of `old`, which must be there.
    pub fn replace(self, file: &str, old: &str, new: &str) -> Self {
        let text = std::fs::read_to_string(self.path(file)).expect("a text file");
        assert!(text.contains(old), "{file} has no {old}");
        self.write(file, &text.replacen(old, new, 1))
    }

    pub fn write(self, file: &str, text: &str) -> Self {
        std::fs::write(self.path(file), text).expect("a file");
        self
    }

    pub fn remove(self, file: &str) -> Self {
        std::fs::remove_file(self.path(file)).expect("a file");
        self
    }

    pub fn tensors(self, file: &str, change: impl FnOnce(&mut TensorFile)) -> Self {
        let mut tensors = TensorFile::read(&self.path(file)).expect("tensors");
        change(&mut tensors);
        tensors.write(&self.path(file)).expect("a file");
        self
    }

    /// A cell of a table, lines counted from 1.
    pub fn cell(&self, file: &str, line: usize, column: usize) -> String {
        let text = std::fs::read_to_string(self.path(file)).expect("a text file");
        text.lines().nth(line - 1).and_then(|line| line.split(',').nth(column)).expect("a cell").to_owned()
    }

    /// What the replay prints where a part differs; nothing may go to standard error.
    pub fn differs(&self, arguments: &str) -> String {
        let output = self.shop.command(&format!("replay trace {arguments}")).output().expect("the program starts");
        let (text, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!((output.status.code(), error.as_ref()), (Some(1), ""), "{text}");
        text.into_owned()
    }

    /// The sentence with which the trace is refused.
    pub fn refused(&self, arguments: &str) -> String {
        let error = self.shop.refused(&format!("replay trace {arguments}"));
        assert_eq!(error.lines().count(), 1, "{error}");
        error
    }

    #[track_caller]
    pub fn assert_refused(&self, places: &[&str]) {
        let error = self.refused("");
        assert!(places.iter().all(|place| error.contains(place)), "{error} lacks some of {places:?}");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a new folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
