//! How children are written. Each encoding has its own file.

mod digits;
mod numbers;

use super::child::Child;
use super::model::{Encoding, Space};

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChildError {
    #[error(
        "the child `{text}` has {found} {symbols}, but {space} has {needed} edges: write one for each, as in `{example}`"
    )]
    Length { text: String, space: String, symbols: &'static str, found: usize, needed: usize, example: String },

    /// `position` counts from 1.
    #[error("the child `{text}` has `{found}` at position {position} (edge {edge}): write one of {allowed}")]
    Candidate { text: String, position: usize, edge: String, found: String, allowed: String },

    #[error(
        "the list of children is empty: write `all`, `every:N` or children of {space} separated by commas, as in `{example}`"
    )]
    EmptyList { space: String, example: String },

    /// Places count from 1.
    #[error("the child `{child}` stands twice in the list, at places {first} and {second}: name every child once")]
    Duplicate { child: String, first: usize, second: usize },

    #[error("`{text}` asks for no number of children that {space} can give: write `every:N` with N from 1 to {most}")]
    Every { text: String, space: String, most: u128 },

    #[error(
        "`all` would be {count} children of {space}, and a list holds {most} at most: write `every:N` or name them"
    )]
    TooMany { space: String, count: u128, most: u128 },
}

impl Space {
    /// Reads a child as the space's encoding writes it.
    ///
    /// # Errors
    /// [`ChildError::Length`] and [`ChildError::Candidate`], which says which position is wrong and what is allowed.
    pub fn parse_child(&self, text: &str) -> Result<Child, ChildError> {
        let (symbols, parts) = match self.encoding {
            Encoding::Digits => (digits::SYMBOLS, digits::split(text)),
            Encoding::Numbers => (numbers::SYMBOLS, numbers::split(text)),
        };
        let choices = self.choice_candidates();
        if parts.len() != choices.len() {
            return Err(ChildError::Length {
                text: text.to_owned(),
                space: self.name.clone(),
                symbols,
                found: parts.len(),
                needed: choices.len(),
                example: self.format_child(&self.example_child()),
            });
        }
        let candidates = parts.iter().zip(&choices).enumerate().map(|(edge, (part, candidates))| {
            candidate_number(part, candidates.len()).ok_or_else(|| self.unknown_candidate(text, edge, part, candidates))
        });
        candidates.collect::<Result<_, _>>().map(Child)
    }

    /// Writes a child in the space's encoding.
    pub fn format_child(&self, child: &Child) -> String {
        match self.encoding {
            Encoding::Digits => digits::format(child),
            Encoding::Numbers => numbers::format(child),
        }
    }

    /// A child to show how one is written: candidates counted up along the edges.
    pub fn example_child(&self) -> Child {
        Child(self.choices().into_iter().enumerate().map(|(edge, count)| (edge % count) as u8).collect())
    }

    fn unknown_candidate(&self, text: &str, edge: usize, found: &str, candidates: &[String]) -> ChildError {
        let allowed: Vec<_> =
            candidates.iter().enumerate().map(|(index, name)| format!("{} {name}", index + 1)).collect();
        ChildError::Candidate {
            text: text.to_owned(),
            position: edge + 1,
            edge: self.edge_names().swap_remove(edge),
            found: found.to_owned(),
            allowed: allowed.join(", "),
        }
    }
}

/// The candidate (from 0) that a decimal number from 1 to `count` names; no sign, no leading zero.
fn candidate_number(text: &str, count: usize) -> Option<u8> {
    let plain = text.starts_with(|first: char| ('1'..='9').contains(&first));
    let number: usize = if plain { text.parse().ok()? } else { return None };
    if number <= count { u8::try_from(number - 1).ok() } else { None }
}
