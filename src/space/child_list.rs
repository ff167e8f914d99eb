//! Lists of children as a command line or a configuration names them.

use super::child::Child;
use super::encoding::ChildError;
use super::model::Space;
use crate::rng::{Purpose, Stream};
use std::collections::{BTreeSet, HashMap};

/// Most children of `all`, `every:N` and `sample:N`.
const LONGEST_LIST: u128 = 1 << 20;

impl Space {
    /// Reads `all` (lexicographic order), `every:N` (N children evenly spaced in that order, its first and last
    /// included; the first alone for N = 1), `sample:N` (N different children drawn uniformly, always the same ones, in that
    /// order), or children separated by commas, whose order is kept. Where cells choose for themselves, the first three name
    /// children that choose alike in all of them.
    ///
    /// # Errors
    /// An empty list, a child that stands twice, a child that the space lacks, and a number that it cannot give.
    pub fn parse_children(&self, text: &str) -> Result<Vec<Child>, ChildError> {
        let text = text.trim();
        if text.is_empty() {
            let example = self.format_child(&self.example_child());
            return Err(ChildError::EmptyList { space: self.name.clone(), example });
        }
        let tied = self.tied();
        let children = match text.split_once(':') {
            None if text == "all" => tied.all_children(),
            Some(("every", number)) => tied.number(text, number).map(|number| tied.every_children(number)),
            Some(("sample", number)) => tied.number(text, number).map(|number| tied.sampled_children(number)),
            _ => return self.listed_children(text),
        };
        Ok(children?.iter().map(|child| self.repeated(child)).collect())
    }

    fn all_children(&self) -> Result<Vec<Child>, ChildError> {
        let count = self.child_count();
        if count > LONGEST_LIST {
            return Err(ChildError::TooMany { space: self.name.clone(), count, most: LONGEST_LIST });
        }
        Ok(self.enumerate().collect())
    }

    /// How many children `text` asks for with `number`.
    fn number(&self, text: &str, number: &str) -> Result<u128, ChildError> {
        let most = self.child_count().min(LONGEST_LIST);
        let number = number.trim().parse().ok().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| ChildError::Number { text: text.to_owned(), space: self.name.clone(), most })
    }

    /// Both ends are included because the other choice, multiples of count / N, would hold the last edges fixed
    /// wherever N divides the count.
    fn every_children(&self, number: u128) -> Vec<Child> {
        let (last, gaps) = (self.child_count() - 1, (number - 1).max(1));
        // `step * last / gaps` without overflow.
        let index = |step: u128| step * (last / gaps) + step * (last % gaps) / gaps;
        (0..number).map(|step| self.child_at(index(step))).collect()
    }

    /// One stream, whatever the seed of a run, so that runs are compared on the same children; a longer sample holds every shorter one.
    fn sampled_children(&self, number: u128) -> Vec<Child> {
        let mut stream = Stream::new(0, Purpose::ChildSample, 0, 0);
        let mut children = BTreeSet::new();
        while (children.len() as u128) < number {
            children.insert(self.sample(&mut |bound| stream.bounded(bound)));
        }
        children.into_iter().collect()
    }

    fn listed_children(&self, text: &str) -> Result<Vec<Child>, ChildError> {
        let mut children = Vec::new();
        let mut places = HashMap::new();
        for (index, text) in split(text).into_iter().map(str::trim).enumerate() {
            let child = self.parse_child(text)?;
            if let Some(first) = places.insert(child.clone(), index + 1) {
                return Err(ChildError::Duplicate { child: text.to_owned(), first, second: index + 1 });
            }
            children.push(child);
        }
        Ok(children)
    }
}

/// Parts between commas that stand in no brackets: a genotype has commas of its own.
fn split(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_usize, 0, Vec::new());
    for (at, symbol) in list.char_indices() {
        match symbol {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}
