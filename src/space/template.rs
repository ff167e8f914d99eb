//! Templates of parameter names: text with variables in braces, `cells.{cell}.dag.{node}.{source}`.
//!
//! | variable | in | number |
//! | --- | --- | --- |
//! | `{cell}` | all names inside blocks | index of the block, reductions counted |
//! | `{target}`, `{source}` | a cell's `prefix` | nodes of the edge, inputs first |
//! | `{node}` | a cell's `prefix` and `alphas` | target without the inputs |
//! | `{edge}` | a cell's `prefix` | index of the edge in the cell |
//! | `{candidate}` | a cell's `prefix` | index of the candidate, from 0 |

use super::error::Problem;

/// Variables of a cell's `prefix`.
pub(super) const EDGE_VARIABLES: &[&str] = &["cell", "target", "node", "source", "edge", "candidate"];

/// Variables of a cell's `alphas`.
pub(super) const ALPHA_VARIABLES: &[&str] = &["node"];

/// Variables of names inside a block.
pub(super) const BLOCK_VARIABLES: &[&str] = &["cell"];

/// The template with every `{variable}` replaced by its number. A variable that is not listed stays as it is; validated
/// spaces have none.
pub fn expand(template: &str, variables: &[(&str, usize)]) -> String {
    variables.iter().fold(template.to_owned(), |text, (variable, number)| {
        text.replace(&format!("{{{variable}}}"), &number.to_string())
    })
}

/// Refuses an empty template, braces without a partner and variables outside `allowed`.
pub(super) fn check(template: &str, allowed: &[&str]) -> Result<(), Problem> {
    if template.trim() != template || template.is_empty() {
        return Err(Problem::EmptyName);
    }
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let variable = rest[at..]
            .strip_prefix('{')
            .and_then(|after| after.split_once('}'))
            .filter(|(variable, _)| !variable.contains('{'));
        let Some((variable, after)) = variable else {
            return Err(Problem::Braces { template: template.to_owned() });
        };
        if !allowed.contains(&variable) {
            let allowed = match allowed {
                [] => "none".to_owned(),
                some => some.iter().map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join(", "),
            };
            return Err(Problem::Variable { variable: variable.to_owned(), template: template.to_owned(), allowed });
        }
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_occurrence_of_a_variable_is_replaced() {
        assert_eq!(expand("{cell}.a{node}.{cell}", &[("cell", 12), ("node", 3)]), "12.a3.12");
    }

    #[test]
    fn unknown_variables_and_lone_braces_are_refused() {
        assert!(check("cells.{cell}.op", BLOCK_VARIABLES).is_ok());
        assert!(matches!(check("cells.{cel}.op", BLOCK_VARIABLES), Err(Problem::Variable { .. })));
        assert!(matches!(check("cells.{cell.op", BLOCK_VARIABLES), Err(Problem::Braces { .. })));
        assert!(matches!(check("cells.{cell.{node}", BLOCK_VARIABLES), Err(Problem::Braces { .. })));
        assert!(matches!(check("cells.cell}.op", BLOCK_VARIABLES), Err(Problem::Braces { .. })));
        assert!(matches!(check("", BLOCK_VARIABLES), Err(Problem::EmptyName)));
    }
}
