//! Refuses a space that cannot be built, before anything is built of it.

mod cells;
mod layers;
mod names;
mod skeleton;

use super::error::{Problem, SpaceError};
use super::model::{Candidate, Encoding, Normalization, OutputRule, Space};
use super::template;

/// A problem and the place where it stands, as the path of keys in the file.
struct Fault {
    place: String,
    problem: Problem,
}

type Checked = Result<(), Fault>;

/// Ok, or the problem at the place. Both are made only when needed.
fn require<P: Into<String>>(holds: bool, place: impl FnOnce() -> P, problem: impl FnOnce() -> Problem) -> Checked {
    if holds { Ok(()) } else { Err(Fault { place: place().into(), problem: problem() }) }
}

fn number(number: usize, lowest: usize, highest: usize, place: impl FnOnce() -> String) -> Checked {
    require((lowest..=highest).contains(&number), place, || Problem::Number { number, lowest, highest })
}

/// Names as a list in a sentence.
fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "(none is defined)".to_owned() } else { names.join(", ") }
}

impl Space {
    /// Whether the space can be built: every rule that `model` states. Texts read by [`Space::from_toml`] have passed.
    ///
    /// # Errors
    /// [`SpaceError::Invalid`] with the first problem found; `origin` is the file that it names.
    pub fn validate(&self, origin: &str) -> Result<(), SpaceError> {
        check(self).map_err(|Fault { place, problem }| SpaceError::Invalid {
            origin: origin.to_owned(),
            place,
            problem,
        })
    }
}

fn check(space: &Space) -> Checked {
    require(is_word(&space.name), || "name", || Problem::Word { name: space.name.clone() })?;
    let defaults = &space.defaults;
    number(defaults.channels, 1, 4096, || "defaults.channels".to_owned())?;
    number(defaults.cells, 1, 1000, || "defaults.cells".to_owned())?;
    number(defaults.classes, 1, 65_536, || "defaults.classes".to_owned())?;
    check_normalization(space)?;
    layers::check_stem(space)?;
    layers::check_candidates(space)?;
    layers::check_residuals(space)?;
    cells::check(space)?;
    skeleton::check(space)?;
    if let Some(norm) = &space.head.norm {
        literal_name(norm, "head.norm")?;
    }
    literal_name(&space.head.classifier, "head.classifier")?;
    names::check(space)?;
    check_children(space)
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn literal_name(name: &str, place: &str) -> Checked {
    template::check(name, &[]).map_err(|problem| Fault { place: place.to_owned(), problem })
}

fn check_normalization(space: &Space) -> Checked {
    let places = &space.normalization;
    let given = [
        ("stem", Some(&places.stem)),
        ("cell", Some(&places.cell)),
        ("residual", places.residual.as_ref()),
        ("head", places.head.as_ref()),
    ];
    for (place, normalization) in given {
        let Some(Normalization { momentum, epsilon, .. }) = normalization else { continue };
        for (key, number) in [("momentum", *momentum), ("epsilon", *epsilon)] {
            let place = || format!("normalization.{place}.{key}");
            require(number > 0.0 && number <= 1.0, place, || Problem::Fraction { number })?;
        }
    }
    let residual_norm =
        space.residuals.values().flat_map(|block| block.branches.iter().flatten()).any(|l| l.norm.is_some());
    let pairs = [("residual", places.residual, residual_norm), ("head", places.head, space.head.norm.is_some())];
    for (place, normalization, used) in pairs {
        let at = || format!("normalization.{place}");
        require(normalization.is_some() || !used, at, || Problem::NormalizationMissing { place })?;
        require(used || normalization.is_none(), at, || Problem::NormalizationUnused)?;
    }
    Ok(())
}

fn check_children(space: &Space) -> Checked {
    let place = || "encoding";
    let encoding = if space.encoding == Encoding::Digits { "digits" } else { "nasbench201" };
    if matches!(space.encoding, Encoding::Digits | Encoding::Nasbench201) {
        require(space.cells.len() == 1, place, || Problem::OneCell { encoding, count: space.cells.len() })?;
    }
    if space.encoding == Encoding::Digits {
        for (name, cell) in &space.cells {
            let count = cell.candidates.len();
            require(count <= 9, place, || Problem::DigitsCandidates { cell: name.clone(), count })?;
        }
    }
    if space.encoding == Encoding::Darts {
        check_genotypes(space)?;
    }
    require(space.radices().count().is_some(), || "cells", || Problem::TooManyChildren)
}

/// What genotypes need: their two cells, in each a concatenation, a zero candidate, and nodes of two edges at least.
fn check_genotypes(space: &Space) -> Checked {
    let place = || "encoding";
    require(space.cells.keys().eq(["normal", "reduce"]), place, || Problem::GenotypeCells)?;
    for (name, cell) in &space.cells {
        let edges = cell.edge_list();
        let fed = |node| edges.iter().filter(|(_, target)| *target == node).count() >= 2;
        let zero = |name: &String| matches!(space.candidates.get(name), Some(Candidate::Zero));
        for (holds, lacking) in [
            (cell.output.rule == OutputRule::Concat, "a concatenation as output"),
            (cell.candidates.iter().any(zero), "a zero candidate"),
            ((cell.inputs.len()..cell.node_count()).all(fed), "two edges into every node"),
        ] {
            require(holds, place, || Problem::Genotype { cell: name.clone(), lacking })?;
        }
    }
    Ok(())
}
