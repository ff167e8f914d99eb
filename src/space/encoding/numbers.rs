//! One number an edge, candidates numbered from 1, joined by `-`: `1-12-3`. For any number of candidates and cells.

use super::Child;

pub(super) const SYMBOLS: &str = "numbers";

pub(super) fn split(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split('-').collect() }
}

pub(super) fn format(child: &Child) -> String {
    child.0.iter().map(|&candidate| (u16::from(candidate) + 1).to_string()).collect::<Vec<_>>().join("-")
}
