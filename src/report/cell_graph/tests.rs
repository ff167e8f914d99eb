use super::layout::{Layout, NODE_HEIGHT, OUTPUT_WIDTH};
use super::{Candidate, CellGraph, Edge, Panel, cell_graph};

/// A cell in which every node takes every earlier one; `chosen` picks the candidate of an edge.
fn panel(inputs: usize, nodes: usize, names: &[&str], chosen: impl Fn(usize) -> Option<usize>) -> Panel {
    let pairs = (inputs..inputs + nodes).flat_map(|target| (0..target).map(move |source| (source, target)));
    Panel {
        heading: "cell".to_owned(),
        inputs: vec!["cell k−1".to_owned(); inputs],
        nodes,
        edges: pairs.enumerate().map(|(i, (source, target))| Edge { source, target, chosen: chosen(i) }).collect(),
        output_nodes: (inputs..inputs + nodes).collect(),
        output_rule: "concatenation".to_owned(),
        candidates: names.iter().map(|&name| Candidate { name: name.to_owned(), is_zero: name == "none" }).collect(),
    }
}

const NAMES: [&str; 8] = [
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
];

/// Center and size.
type Box = ((f64, f64), (f64, f64));

fn overlap(a: &Box, b: &Box) -> bool {
    (a.0.0 - b.0.0).abs() < (a.1.0 + b.1.0) / 2.0 && (a.0.1 - b.0.1).abs() < (a.1.1 + b.1.1) / 2.0
}

#[test]
fn no_two_labels_or_nodes_overlap_and_all_lie_inside() {
    for (inputs, nodes) in [(1, 2), (1, 3), (2, 4), (2, 8), (1, 1)] {
        for chosen in [None, Some(3), Some(0)] {
            for names in [&NAMES[..], &NAMES[..2], &["a_candidate_with_a_name_far_longer_than_others"]] {
                let panel = panel(inputs, nodes, names, |_| chosen.map(|chosen: usize| chosen.min(names.len() - 1)));
                let layout = Layout::of(&panel);
                let mut boxes: Vec<Box> = layout.edges.iter().map(|placed| placed.label).collect();
                let (output, columns) = layout.columns.split_last().unwrap();
                boxes.extend(columns.iter().map(|&x| ((x, layout.axis), (layout.node_width, NODE_HEIGHT))));
                boxes.push(((*output, layout.axis), (OUTPUT_WIDTH, NODE_HEIGHT)));
                for (index, a) in boxes.iter().enumerate() {
                    assert!(boxes[..index].iter().all(|b| !overlap(a, b)), "{inputs} + {nodes}, {chosen:?}: {a:?}");
                    let ((x, y), (width, height)) = *a;
                    assert!(x - width / 2.0 > -0.01 && x + width / 2.0 < layout.width + 0.01, "{a:?}");
                    assert!(y - height / 2.0 > -0.01 && y + height / 2.0 < layout.height + 0.01, "{a:?}");
                }
            }
        }
    }
}

#[test]
fn a_label_lies_on_its_line() {
    let layout = Layout::of(&panel(2, 4, &NAMES, |_| Some(4)));
    for placed in &layout.edges {
        let [a, b, c, d] = placed.curve.0;
        let middle = |a: f64, b: f64, c: f64, d: f64| (a + 3.0 * b + 3.0 * c + d) / 8.0;
        let at = (middle(a.0, b.0, c.0, d.0), middle(a.1, b.1, c.1, d.1));
        let (center, size) = placed.label;
        assert!((at.0 - center.0).abs() < size.0 / 2.0 && (at.1 - center.1).abs() < 0.01, "{placed:?}");
    }
}

#[test]
fn edges_that_pass_nothing_on_hide_no_other_line() {
    let chosen = [0, 4, 0, 0, 5, 3];
    let graph = CellGraph { title: String::new(), panels: vec![panel(1, 3, &NAMES, |edge| Some(chosen[edge]))] };
    let picture = cell_graph(&graph);
    let titles = picture.split("<title>").filter_map(|part| part.split_once("</title>"));
    let edges = titles.map(|(title, _)| title).filter(|title| title.contains(": "));
    let passes: Vec<bool> = edges.map(|title| !title.ends_with(": none")).collect();
    assert_eq!(passes, [[false; 6], [true; 6]].concat(), "three edges and their labels, then the other three");
    // The box of a short name is no wider than its text asks for.
    let layout = Layout::of(&graph.panels[0]);
    let width = |edge: usize| layout.edges[edge].label.1.0;
    assert!(width(0) < width(1), "{} and {}", width(0), width(1));
}

/// The names of open elements after `text`, or where it is no XML.
fn unclosed(text: &str) -> Result<Vec<&str>, &str> {
    let mut open = Vec::new();
    let mut rest = text.split_once("?>").map_or(text, |(_, rest)| rest);
    while let Some((before, after)) = rest.split_once('<') {
        let Some((tag, after)) = after.split_once('>') else { return Err(after) };
        let has_bare_ampersand = before.split('&').skip(1).any(|entity| !entity.contains(';'));
        if before.contains('>') || has_bare_ampersand || tag.matches('"').count() % 2 != 0 {
            return Err(before);
        }
        match tag.strip_prefix('/') {
            Some(name) if open.pop() != Some(name) => return Err(tag),
            Some(_) => {}
            None if tag.ends_with('/') => {}
            None => open.push(tag.split_whitespace().next().unwrap_or_default()),
        }
        rest = after;
    }
    Ok(open)
}

#[test]
fn the_picture_is_well_formed_whatever_names_hold_and_the_same_every_time() {
    let mut graph = CellGraph { title: "a < b & \"c\"".to_owned(), panels: vec![panel(1, 3, &NAMES, |_| None)] };
    graph.panels.push(panel(2, 4, &["<none>", "a&b", "c\"d"], |edge| Some(edge % 3)));
    let picture = cell_graph(&graph);
    assert_eq!(unclosed(&picture), Ok(vec![]));
    assert!(picture.contains("a &lt; b &amp; &quot;c&quot;") && picture.contains("&lt;none&gt;"));
    assert_eq!(picture, cell_graph(&graph));
}

#[test]
fn the_list_of_candidates_stands_once_under_panels_that_share_it() {
    let listed = |panels: Vec<Panel>| {
        cell_graph(&CellGraph { title: String::new(), panels }).matches("<g class=\"candidates\">").count()
    };
    let numbers = |names: &[&str]| panel(1, 2, names, |_| None);
    assert_eq!(listed(vec![numbers(&NAMES), numbers(&NAMES)]), 1);
    assert_eq!(listed(vec![numbers(&NAMES), numbers(&NAMES[1..])]), 2);
    assert_eq!(listed(vec![panel(1, 2, &NAMES, |_| Some(1))]), 0, "a child names its candidates at the edges");
}
