//! One digit an edge, candidates numbered from 1: `111` to `444` (arXiv 2001.01431).

pub(super) const SYMBOLS: &str = "digits";

pub(super) fn split(text: &str) -> Vec<&str> {
    text.char_indices().map(|(at, symbol)| &text[at..at + symbol.len_utf8()]).collect()
}

pub(super) fn format(choices: &[u8]) -> String {
    choices.iter().map(|&candidate| char::from(b'1' + candidate)).collect()
}
