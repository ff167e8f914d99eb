//! What `--children` and `--child` of `crosstalk train` make of a configuration.

use crate::space::{Child, Space};
use crate::train::config::{ChildOrder, DERIVED, RunConfig, StepChildren};

/// Trains these children in turns. `all`, `every:N` and `sample:N` children of evaluation and interference are then of these too, unless one of
/// `assignments` (KEY=VALUE) says which; children that are listed one by one stay.
///
/// # Errors
/// Text that does not parse, or children that the space lacks.
pub fn restrict_to_children(config: &mut RunConfig, text: &str, assignments: &[String]) -> anyhow::Result<()> {
    let space = config.network.load_space()?;
    let children = space.parse_children(text)?;
    train_only(config, &space, &children);
    let assigned = |table: &str| {
        let keys = assignments.iter().filter_map(|assignment| Some(assignment.split_once('=')?.0.trim()));
        keys.into_iter().any(|key| key == table || key.strip_prefix(table) == Some(".children"))
    };
    let names: Vec<String> = children.iter().map(|child| space.format_child(child)).collect();
    if !assigned("evaluation") {
        restrict(&mut config.evaluation.children, &names);
    }
    if let (Some(measured), false) = (&mut config.interference.children, assigned("interference")) {
        restrict(measured, &names);
    }
    Ok(())
}

/// One child alone: it is trained and evaluated, and nothing interferes.
///
/// # Errors
/// As [`restrict_to_children`].
pub fn restrict_to_child(config: &mut RunConfig, text: &str) -> anyhow::Result<()> {
    let space = config.network.load_space()?;
    let child = space.parse_child(text)?;
    config.evaluation.children = space.format_child(&child);
    config.interference.children = None;
    config.step.reduce = None;
    train_only(config, &space, &[child]);
    Ok(())
}

/// Trains these children in turns, one a step.
fn train_only(config: &mut RunConfig, space: &Space, children: &[Child]) {
    config.step.children = StepChildren::Cycle;
    config.step.lanes = None;
    config.architecture = None;
    config.step.order = ChildOrder::List(children.iter().map(|child| space.format_child(child)).collect());
}

/// Takes `all` (and in its place a search's `derived`), `every:N` and `sample:N` from the trained children, evenly spaced; a number that cannot be stays, for whoever reads it to refuse.
fn restrict(chosen: &mut String, trained: &[String]) {
    let text = chosen.trim();
    let number = if text == "all" || text == DERIVED {
        Some(trained.len())
    } else {
        ["every:", "sample:"].iter().find_map(|kind| text.strip_prefix(kind)).and_then(|n| n.trim().parse().ok())
    };
    if let Some(number @ 1..) = number {
        *chosen = evenly_spaced(trained, number).join(",");
    }
}

/// As many as asked for if there are so many, the first and the last included; the first alone for one.
fn evenly_spaced(names: &[String], number: usize) -> Vec<&str> {
    let number = number.min(names.len());
    let gaps = number.saturating_sub(1).max(1);
    (0..number).map(|place| names[place * (names.len() - 1) / gaps].as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::config::load;

    /// Evaluated and measured children of `quick`, which evaluates all and measures 16.
    fn restricted(children: &str, assignments: &[&str]) -> (String, Option<String>) {
        let assignments: Vec<String> = assignments.iter().map(|text| (*text).to_owned()).collect();
        let mut config = load("quick", &assignments).expect("a preset");
        restrict_to_children(&mut config, children, &assignments).expect("children");
        (config.evaluation.children, config.interference.children)
    }

    #[test]
    fn what_is_evaluated_and_measured_is_of_the_trained_children() {
        let both = |text: &str| (text.to_owned(), Some(text.to_owned()));
        assert_eq!(restricted("213,111", &[]), both("213,111"));
        let every = restricted("every:32", &["optimizer.momentum=0.5"]);
        assert_eq!(every.0.split(',').count(), 32);
        let measured = every.1.expect("a measurement");
        assert_eq!(measured.split(',').count(), 16);
        assert!(measured.starts_with("111,") && measured.ends_with(",444"), "{measured}");
        assert!(measured.split(',').all(|child| every.0.split(',').any(|trained| trained == child)));
    }

    #[test]
    fn what_is_assigned_stays() {
        let given = ["evaluation.children=all", "interference.children=111,112"];
        assert_eq!(restricted("213", &given), ("all".to_owned(), Some("111,112".to_owned())));
        let (evaluated, measured) = restricted("213", &["interference.children=every:4"]);
        assert_eq!((evaluated.as_str(), measured.as_deref()), ("213", Some("every:4")));
        assert_eq!(restricted("213", &["evaluation.batch=60"]).0, "213");
        let mut chosen = "sample:2".to_owned();
        restrict(&mut chosen, &["111", "112", "113"].map(str::to_owned));
        assert_eq!(chosen, "111,113");
    }

    #[test]
    fn an_impossible_number_is_left_for_its_reader() {
        let mut chosen = "every:0".to_owned();
        restrict(&mut chosen, &["111".to_owned()]);
        assert_eq!(chosen, "every:0");
    }
}
