//! How children are written. Each encoding has its own file.

mod cursor;
mod darts;
mod digits;
mod nasbench201;
mod numbers;

use super::child::{Child, edge_names};
use super::model::{Cell, Encoding, Space};
use cursor::Mistake;
pub use darts::NoGenotype;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChildError {
    #[error(
        "the child `{text}` has {found} {symbols}, but {space} has {needed} edges: write one for each, as in `{example}`"
    )]
    Length { text: String, space: String, symbols: &'static str, found: usize, needed: usize, example: String },

    /// `position` counts from 1.
    #[error("the child `{text}` has `{found}` at position {position} (edge {edge}): write one of {allowed}")]
    Candidate { text: String, position: usize, edge: String, found: String, allowed: String },

    /// `column` counts from 1.
    #[error("the child `{text}` lacks {expected} at column {column}: write it as in `{example}`")]
    Column { text: String, column: usize, expected: String, example: String },

    /// `column` counts from 1; `before`: the last of what was read.
    #[error("the genotype lacks {expected} at column {column}, behind `{before}`: write it as `{example}`")]
    Genotype { column: usize, before: String, expected: String, example: String },

    #[error(
        "the child `{text}` has {found} parts, but {space} has {needed} cells: write one part for each, joined by `/`, or one for all"
    )]
    Cells { text: String, space: String, found: usize, needed: usize },

    #[error(
        "the list of children is empty: write `all`, `every:N`, `sample:N` or children of {space} separated by commas, as in `{example}`"
    )]
    EmptyList { space: String, example: String },

    /// Places count from 1.
    #[error("the child `{child}` stands twice in the list, at places {first} and {second}: name every child once")]
    Duplicate { child: String, first: usize, second: usize },

    #[error("`{text}` asks for no number of children that {space} can give: choose one from 1 to {most}")]
    Number { text: String, space: String, most: u128 },

    #[error(
        "`all` would be {count} children of {space}, and a list holds {most} at most: write `every:N` or `sample:N`, or name them"
    )]
    TooMany { space: String, count: u128, most: u128 },
}

/// What separates the parts of a child whose cells choose for themselves.
const CELLS: char = '/';

impl Space {
    /// Reads a child as the space's encoding writes it.
    ///
    /// # Errors
    /// Says which position or column is wrong and what is allowed there.
    pub fn parse_child(&self, text: &str) -> Result<Child, ChildError> {
        let cells = self.searched_cells();
        if self.untied_cells.is_none() {
            return self.parse_cells(text, &cells).map(Child);
        }
        if !text.contains(CELLS) {
            return self.tied().parse_child(text).map(|child| self.repeated(&child));
        }
        let parts: Vec<&str> = text.split(CELLS).collect();
        if parts.len() != cells.len() {
            let (text, space) = (text.to_owned(), self.name.clone());
            return Err(ChildError::Cells { text, space, found: parts.len(), needed: cells.len() });
        }
        let choices =
            parts.into_iter().zip(&cells).map(|(part, cell)| self.parse_cells(part, std::slice::from_ref(cell)));
        choices.collect::<Result<Vec<_>, _>>().map(|choices| Child(choices.concat()))
    }

    /// Reads a child in any notation of the space: its encoding, NASLib's list in brackets, or a bare index where the encoding writes
    /// no bare numbers.
    ///
    /// # Errors
    /// As [`Space::parse_child`].
    pub fn read_child(&self, text: &str) -> Result<Child, ChildError> {
        let text = text.trim();
        let inside = text.strip_prefix(['(', '[']).and_then(|rest| rest.strip_suffix([')', ']']));
        let listed = inside
            .and_then(|list| list.split(',').map(|number| number.trim().parse().ok()).collect::<Option<Vec<u8>>>());
        let index =
            text.parse().ok().filter(|index| self.encoding == Encoding::Nasbench201 && *index < self.child_count());
        match listed.and_then(|indices| self.from_naslib(&indices)).or_else(|| Some(self.child_at(index?))) {
            Some(child) => Ok(child),
            None => self.parse_child(text),
        }
    }

    /// Writes a child in the space's encoding.
    pub fn format_child(&self, child: &Child) -> String {
        if self.untied_cells.is_none() {
            return self.format_cells(&child.0, self.searched_cells().first().map(|(_, cell)| *cell));
        }
        if let Some(tied) = self.repeats(child) {
            return self.tied().format_child(&tied);
        }
        let mut rest = child.0.as_slice();
        let parts = self.searched_cells().into_iter().map(|(_, cell)| {
            let (choices, after) = rest.split_at(cell.edge_list().len().min(rest.len()));
            rest = after;
            self.format_cells(choices, Some(cell))
        });
        parts.collect::<Vec<_>>().join(&CELLS.to_string())
    }

    /// A child to show how one is written: candidates counted up along the edges.
    pub fn example_child(&self) -> Child {
        Child(example_choices(&self.searched_cells()))
    }

    /// The child as a genotype of DARTS, where the space's encoding has them and its cells are tied; else none.
    ///
    /// # Errors
    /// A node that does not take exactly two edges.
    pub fn genotype(&self, child: &Child) -> Option<Result<String, NoGenotype>> {
        let darts = self.encoding == Encoding::Darts && self.untied_cells.is_none();
        darts.then(|| darts::format(&child.0, &self.genotype_parts(&self.searched_cells())))
    }

    /// These cells as a genotype sees them; each has a zero candidate, as validation requires.
    fn genotype_parts<'a>(&self, cells: &'a [(String, &'a Cell)]) -> Vec<darts::Part<'a>> {
        let zero = |cell: &Cell| (0..cell.candidates.len() as u8).find(|candidate| self.is_zero(cell, *candidate));
        let part = |(name, cell): &'a (String, &'a Cell)| darts::Part { name, cell, zero: zero(cell).unwrap_or(0) };
        cells.iter().map(part).collect()
    }

    fn parse_genotype(&self, text: &str, cells: &[(String, &Cell)]) -> Result<Vec<u8>, ChildError> {
        let parts = self.genotype_parts(cells);
        darts::parse(text, &parts).map_err(|Mistake { column, expected }| {
            const SHOWN: usize = 24;
            let before = text.chars().take(column - 1).skip((column - 1).saturating_sub(SHOWN)).collect();
            let field = |part: &darts::Part| format!("{0}=[('...', 0), ...], {0}_concat=...", part.name);
            let fields: Vec<_> = parts.iter().map(field).collect();
            let example = format!("{}({})", darts::NAME, fields.join(", "));
            ChildError::Genotype { column, before, expected, example }
        })
    }

    /// The choices for `cells` from text that holds no others.
    fn parse_cells(&self, text: &str, cells: &[(String, &Cell)]) -> Result<Vec<u8>, ChildError> {
        let (symbols, parts) = match (self.encoding, cells) {
            (Encoding::Digits, _) => (digits::SYMBOLS, digits::split(text)),
            (Encoding::Darts, [_, _]) if text.trim_start().starts_with(darts::NAME) => {
                return self.parse_genotype(text, cells);
            }
            (Encoding::Nasbench201, [(_, cell)]) => {
                return nasbench201::parse(text, cell).map_err(|Mistake { column, expected }| {
                    let example = self.format_cells(&example_choices(cells), Some(cell));
                    ChildError::Column { text: text.to_owned(), column, expected, example }
                });
            }
            (Encoding::Numbers | Encoding::Darts | Encoding::Nasbench201, _) => {
                (numbers::SYMBOLS, numbers::split(text))
            }
        };
        let names = edge_names(cells);
        if parts.len() != names.len() {
            return Err(ChildError::Length {
                text: text.to_owned(),
                space: self.name.clone(),
                symbols,
                found: parts.len(),
                needed: names.len(),
                example: self.format_cells(&example_choices(cells), cells.first().map(|(_, cell)| *cell)),
            });
        }
        let candidates = cells.iter().flat_map(|(_, cell)| vec![&cell.candidates; cell.edge_list().len()]);
        let choices = parts.iter().zip(candidates).zip(names).enumerate().map(|(index, ((part, candidates), edge))| {
            candidate_number(part, candidates.len())
                .ok_or_else(|| unknown_candidate(text, index, edge, part, candidates))
        });
        choices.collect()
    }

    /// The choices of one searched cell, or of all; `cell` is the first of them.
    fn format_cells(&self, choices: &[u8], cell: Option<&Cell>) -> String {
        match (self.encoding, cell) {
            (Encoding::Digits, _) => digits::format(choices),
            (Encoding::Nasbench201, Some(cell)) => nasbench201::format(choices, cell),
            (Encoding::Numbers | Encoding::Darts | Encoding::Nasbench201, _) => numbers::format(choices),
        }
    }
}

fn example_choices(cells: &[(String, &Cell)]) -> Vec<u8> {
    let counts = cells.iter().flat_map(|(_, cell)| vec![cell.candidates.len(); cell.edge_list().len()]);
    counts.enumerate().map(|(edge, count)| (edge % count) as u8).collect()
}

fn unknown_candidate(text: &str, edge: usize, name: String, found: &str, candidates: &[String]) -> ChildError {
    let allowed: Vec<_> = candidates.iter().enumerate().map(|(index, name)| format!("{} {name}", index + 1)).collect();
    ChildError::Candidate {
        text: text.to_owned(),
        position: edge + 1,
        edge: name,
        found: found.to_owned(),
        allowed: allowed.join(", "),
    }
}

/// The candidate (from 0) that a decimal number from 1 to `count` names; no sign, no leading zero.
fn candidate_number(text: &str, count: usize) -> Option<u8> {
    let plain = text.starts_with(|first: char| ('1'..='9').contains(&first));
    let number: usize = if plain { text.parse().ok()? } else { return None };
    if number <= count { u8::try_from(number - 1).ok() } else { None }
}
