//! `crosstalk space draw`: the cells of a space, or of one of its children, as a picture.

use std::path::PathBuf;

use crate::files::write_bytes_atomically;
use crate::report::cell_graph::{self, CellGraph, Edge, Panel, cell_graph};
use crate::space::{Candidate, Cell, Child, OutputRule, Space};

#[derive(Debug, clap::Args)]
pub struct DrawArguments {
    /// A built-in space, or the path of a file that ends in `.toml`.
    #[arg(value_name = "NAME_OR_FILE")]
    space: String,
    /// Draw this child: the candidate that it takes on every edge. Without it, all candidates of every edge.
    #[arg(long)]
    child: Option<String>,
    /// Where to store the picture; standard output unless given.
    #[arg(long, short, value_name = "FILE.svg")]
    output: Option<PathBuf>,
}

/// Draws, stores, and returns what is to be printed.
///
/// # Errors
/// As for the other commands of a space; a child that does not parse; a file that cannot be written.
pub fn run(arguments: &DrawArguments) -> anyhow::Result<String> {
    let space = Space::load(&arguments.space)?;
    let child = arguments.child.as_deref().map(|text| space.parse_child(text)).transpose()?;
    let picture = cell_graph(&graph(&space, child.as_ref()));
    match &arguments.output {
        None => Ok(picture),
        Some(path) => {
            write_bytes_atomically(path, picture.as_bytes())?;
            Ok(format!("Stored in {}\n", path.display()))
        }
    }
}

fn graph(space: &Space, child: Option<&Child>) -> CellGraph {
    let title = match child {
        Some(child) => format!("{}, child {}", space.name, space.format_child(child)),
        None => space.name.clone(),
    };
    // A child lists its choices cell after cell.
    let mut choices = child.map(|child| child.0.iter().map(|&choice| usize::from(choice)));
    let mut panels = Vec::new();
    for (name, cell) in space.searched_cells() {
        let edges = cell.edge_list().into_iter().map(|(source, target)| {
            let chosen = choices.as_mut().and_then(Iterator::next);
            Edge { source, target, chosen }
        });
        panels.push(panel(space, &name, cell, edges.collect()));
    }
    CellGraph { title, panels }
}

fn panel(space: &Space, name: &str, cell: &Cell, edges: Vec<Edge>) -> Panel {
    let reduces = if cell.reduces { ": stride 2 on edges from the inputs" } else { "" };
    let candidate = |name: &String| cell_graph::Candidate {
        name: name.clone(),
        is_zero: matches!(space.candidates.get(name), Some(Candidate::Zero)),
    };
    let output_rule = match cell.output.rule {
        OutputRule::Last => "",
        OutputRule::Concat => "concatenation",
        OutputRule::Sum => "sum",
    };
    Panel {
        heading: format!("{name}{reduces}"),
        inputs: cell.inputs.iter().map(|input| format!("cell k−{}", input.previous)).collect(),
        nodes: cell.nodes,
        edges,
        output_nodes: cell.output.nodes.clone(),
        output_rule: output_rule.to_owned(),
        candidates: cell.candidates.iter().map(candidate).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The titles of the groups of one class.
    fn titles<'a>(picture: &'a str, class: &str) -> Vec<&'a str> {
        let open = format!("<g class=\"{class}\">\n<title>");
        picture.split(&open).skip(1).filter_map(|rest| rest.split_once("</title>")).map(|(title, _)| title).collect()
    }

    #[test]
    fn every_edge_of_every_cell_is_drawn_and_labeled_with_all_candidates() {
        for (name, cells, edges) in [("zhang64", 1, 3), ("nasbench201", 1, 6), ("darts", 2, 28)] {
            let space = Space::built_in(name).unwrap();
            let graph = graph(&space, None);
            assert_eq!(graph.panels.len(), cells);
            let picture = cell_graph(&graph);
            assert_eq!(titles(&picture, "edge").len(), edges, "{name}");
            let labels = titles(&picture, "label");
            let candidates = space.choice_candidates();
            assert_eq!(labels.len(), edges, "{name}");
            for (label, candidates) in labels.iter().zip(candidates) {
                assert!(label.ends_with(&candidates.join(", ")), "{label}");
            }
            assert_eq!(titles(&picture, "candidates").len(), 1, "equal lists are written once");
        }
    }

    #[test]
    fn a_child_is_labeled_with_its_own_candidates_in_the_order_of_its_choices() {
        let space = Space::built_in("darts").unwrap();
        let child = space.example_child();
        let drawn = graph(&space, Some(&child));
        let picture = cell_graph(&drawn);
        let expected: Vec<String> = (space.edge_names().iter().zip(space.choice_candidates()).zip(&child.0))
            .map(|((edge, candidates), &chosen)| {
                let edge = edge.trim_start_matches("normal ").trim_start_matches("reduce ").replace('>', "&gt;");
                format!("{edge}: {}", candidates[usize::from(chosen)])
            })
            .collect();
        // Those of each cell, the zero candidates first.
        let mut in_the_order_drawn = expected.clone();
        let (normal, reduce) = in_the_order_drawn.split_at_mut(drawn.panels[0].edges.len());
        for labels in [normal, reduce] {
            labels.sort_by_key(|label| !label.ends_with(": none"));
        }
        assert_eq!(titles(&picture, "label"), in_the_order_drawn);
        assert!(picture.contains(&format!("darts, child {}", space.format_child(&child))));
        let zeros = expected.iter().filter(|label| label.ends_with(": none")).count();
        // The line, and the outline of its label.
        assert_eq!(picture.matches("stroke-dasharray").count(), 2 * zeros);
    }

    #[test]
    fn the_picture_of_a_child_of_zhang64() {
        let space = Space::built_in("zhang64").unwrap();
        let child = space.parse_child("123").unwrap();
        insta::assert_snapshot!(cell_graph(&graph(&space, Some(&child))));
    }
}
