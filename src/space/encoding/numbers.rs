//! One number an edge, candidates numbered from 1, joined by `-`: `1-12-3`. For any number of candidates and cells.

pub(super) const SYMBOLS: &str = "numbers";

pub(super) fn split(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split('-').collect() }
}

pub(super) fn format(choices: &[u8]) -> String {
    choices.iter().map(|&candidate| (u16::from(candidate) + 1).to_string()).collect::<Vec<_>>().join("-")
}
