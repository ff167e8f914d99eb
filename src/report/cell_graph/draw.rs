//! Panels, labels and the list of candidates.

use super::layout::{
    CHIP, CHIP_STEP, Curve, LABEL_SIZE, LINE, Layout, NODE_HEIGHT, OUTPUT_WIDTH, Placed, chips_in_a_row, lines,
};
use super::svg::{Stroke, Svg, TextStyle};
use super::{Candidate, CellGraph, Edge, Panel};
use crate::report::sizes::text_width;

const MARGIN: f64 = 20.0;
const TITLE_SIZE: f64 = 15.0;
const HEADING_SIZE: f64 = 12.0;
const CAPTION_SIZE: f64 = 10.0;
const PANEL_GAP: f64 = 22.0;
const INK: &str = "#181818";
const FAINT_INK: &str = "#606060";
const LINE_GRAY: &str = "#8a8a8a";
const WHITE: &str = "#ffffff";

/// Okabe and Ito, "Color Universal Design", with indigo for the yellow that no white page shows; each with the ink that is read on it.
const COLORS: [(&str, &str); 7] = [
    ("#0072b2", WHITE),
    ("#e69f00", INK),
    ("#009e73", WHITE),
    ("#cc79a7", INK),
    ("#56b4e9", INK),
    ("#d55e00", WHITE),
    ("#332288", WHITE),
];

const OUTLINE: Stroke = Stroke { color: INK, width: 1.1, dashed: false };

pub fn graph(graph: &CellGraph) -> String {
    let layouts: Vec<Layout> = graph.panels.iter().map(Layout::of).collect();
    let title_width = f64::from(text_width(&graph.title, TITLE_SIZE as i32));
    let inner = layouts.iter().map(|layout| layout.width).fold(title_width, f64::max);
    let mut svg = Svg::default();
    let mut y = MARGIN + TITLE_SIZE / 2.0;
    svg.text(&graph.title, (MARGIN, y), TextStyle { size: TITLE_SIZE, color: INK, bold: true, anchor: "start" });
    y += TITLE_SIZE / 2.0 + 14.0;
    for (index, (panel, layout)) in graph.panels.iter().zip(&layouts).enumerate() {
        svg.text(
            &panel.heading,
            (MARGIN, y + HEADING_SIZE / 2.0),
            TextStyle { size: HEADING_SIZE, color: FAINT_INK, bold: true, anchor: "start" },
        );
        y += HEADING_SIZE + 6.0;
        draw_panel(&mut svg, panel, layout, (MARGIN + (inner - layout.width) / 2.0, y));
        y += layout.height + PANEL_GAP;
        let same_below = graph.panels.get(index + 1).is_some_and(|next| next.candidates == panel.candidates);
        if panel.shows_numbers() && !same_below {
            y += draw_candidates(&mut svg, &panel.candidates, (MARGIN, y), inner) + PANEL_GAP;
        }
    }
    svg.finish(&graph.title, inner + 2.0 * MARGIN, y - PANEL_GAP + MARGIN)
}

fn draw_panel(svg: &mut Svg, panel: &Panel, layout: &Layout, (left, top): (f64, f64)) {
    let moved = |(x, y): (f64, f64)| (left + x, top + y);
    let gray = Stroke { color: LINE_GRAY, width: 1.3, dashed: false };
    for (node, curve) in panel.output_nodes.iter().zip(&layout.outputs) {
        svg.open_group("output", &format!("node {node} -> output"));
        draw_curve(svg, curve, gray, moved);
        svg.close_group();
    }
    // Edges that pass nothing on lie with their labels below all others.
    let all = panel.edges.iter().zip(&layout.edges);
    let (below, above): (Vec<_>, Vec<_>) =
        all.partition(|(edge, _)| edge.chosen.is_some_and(|chosen| is_zero(panel, chosen)));
    for edges in [below, above] {
        draw_edges(svg, panel, &edges, moved);
    }
    for (node, &x) in layout.columns[..panel.node_count()].iter().enumerate() {
        let center = moved((x, layout.axis));
        let input = panel.inputs.get(node);
        let fill = if input.is_some() { "#e4e4e4" } else { WHITE };
        svg.rectangle(center, (layout.node_width, NODE_HEIGHT), 6.0, fill, OUTLINE);
        svg.text(&node.to_string(), center, centered(LABEL_SIZE + 1.0, INK, true));
        if let Some(caption) = input {
            let below = (center.0, center.1 + NODE_HEIGHT / 2.0 + 9.0);
            svg.text(caption, below, centered(CAPTION_SIZE, FAINT_INK, false));
        }
    }
    let output = moved((layout.columns[panel.node_count()], layout.axis));
    svg.rectangle(output, (OUTPUT_WIDTH, NODE_HEIGHT), 6.0, "#e4e4e4", OUTLINE);
    let rule = (output.0, output.1 - NODE_HEIGHT / 2.0 - 9.0);
    svg.text("output", output, centered(LABEL_SIZE, INK, true));
    svg.text(&panel.output_rule, rule, centered(CAPTION_SIZE, FAINT_INK, false));
}

/// The lines of some edges, and over all of them their labels.
fn draw_edges(svg: &mut Svg, panel: &Panel, edges: &[(&Edge, &Placed)], moved: impl Fn((f64, f64)) -> (f64, f64)) {
    // The widest first, each with a white border, so that crossings show which line lies over the other.
    let mut order = edges.to_vec();
    order.sort_by_key(|(edge, _)| std::cmp::Reverse(edge.target - edge.source));
    for (edge, placed) in order {
        svg.open_group("edge", &edge_title(panel, edge));
        draw_curve(svg, &placed.curve, stroke(panel, edge), &moved);
        svg.close_group();
    }
    for (edge, placed) in edges {
        let (center, size) = placed.label;
        svg.open_group("label", &edge_title(panel, edge));
        match edge.chosen {
            None => draw_chips(svg, panel, moved(center), size),
            Some(chosen) => draw_name(svg, panel, chosen, moved(center), size),
        }
        svg.close_group();
    }
}

/// `0->1: skip_connect`, or all candidates.
fn edge_title(panel: &Panel, edge: &Edge) -> String {
    let name = |candidate: &Candidate| candidate.name.clone();
    let candidates = match edge.chosen {
        Some(chosen) => panel.candidates.get(chosen).map(name).unwrap_or_default(),
        None => panel.candidates.iter().map(name).collect::<Vec<_>>().join(", "),
    };
    format!("{}->{}: {candidates}", edge.source, edge.target)
}

fn draw_curve(svg: &mut Svg, curve: &Curve, stroke: Stroke, moved: impl Fn((f64, f64)) -> (f64, f64)) {
    let [a, b, c, d] = curve.0.map(moved);
    let direction = curve.direction();
    let length = direction.0.hypot(direction.1).max(1e-9);
    // The line ends inside the arrow, so that its point stays sharp.
    let end = (d.0 - 4.0 * direction.0 / length, d.1 - 4.0 * direction.1 / length);
    let commands = if b == a {
        format!("M{:.1} {:.1}L{:.1} {:.1}", a.0, a.1, end.0, end.1)
    } else {
        format!("M{:.1} {:.1}C{:.1} {:.1} {:.1} {:.1} {:.1} {:.1}", a.0, a.1, b.0, b.1, c.0, c.1, end.0, end.1)
    };
    svg.path(&commands, Stroke { color: WHITE, width: stroke.width + 3.0, dashed: false });
    svg.path(&commands, stroke);
    svg.arrow_head(d, direction, stroke.color);
}

fn stroke(panel: &Panel, edge: &Edge) -> Stroke {
    match edge.chosen {
        None => Stroke { color: LINE_GRAY, width: 1.3, dashed: false },
        Some(chosen) if is_zero(panel, chosen) => Stroke { color: "#b4b4b4", width: 1.2, dashed: true },
        Some(chosen) => Stroke { color: colors(&panel.candidates, chosen).0, width: 2.0, dashed: false },
    }
}

fn is_zero(panel: &Panel, candidate: usize) -> bool {
    panel.candidates.get(candidate).is_some_and(|candidate| candidate.is_zero)
}

/// Fill and ink of a candidate; candidates that compute nothing take no color.
fn colors(candidates: &[Candidate], candidate: usize) -> (&'static str, &'static str) {
    if candidates.get(candidate).is_none_or(|candidate| candidate.is_zero) {
        return (WHITE, FAINT_INK);
    }
    COLORS[candidates[..candidate].iter().filter(|candidate| !candidate.is_zero).count() % COLORS.len()]
}

fn draw_name(svg: &mut Svg, panel: &Panel, chosen: usize, center: (f64, f64), size: (f64, f64)) {
    let line = stroke(panel, &Edge { source: 0, target: 0, chosen: Some(chosen) });
    svg.rectangle(center, size, 4.0, WHITE, Stroke { width: 1.4, ..line });
    let name = panel.candidates.get(chosen).map_or("", |candidate| &candidate.name);
    let lines = lines(name);
    let first = center.1 - (lines.len() as f64 - 1.0) * LINE / 2.0;
    let ink = if line.dashed { FAINT_INK } else { INK };
    for (index, line) in lines.into_iter().enumerate() {
        svg.text(line, (center.0, first + index as f64 * LINE), centered(LABEL_SIZE, ink, false));
    }
}

fn draw_chips(svg: &mut Svg, panel: &Panel, center: (f64, f64), size: (f64, f64)) {
    svg.rectangle(center, size, 4.0, WHITE, Stroke { color: LINE_GRAY, width: 1.0, dashed: false });
    let count = panel.candidates.len();
    let in_a_row = chips_in_a_row(count);
    let middle = |chips: usize| (chips as f64 - 1.0) / 2.0;
    for chip in 0..count {
        let across = (chip % in_a_row) as f64 - middle(in_a_row);
        let down = (chip / in_a_row) as f64 - middle(count.div_ceil(in_a_row));
        draw_chip(svg, &panel.candidates, chip, (center.0 + across * CHIP_STEP, center.1 + down * CHIP_STEP));
    }
}

fn draw_chip(svg: &mut Svg, candidates: &[Candidate], chip: usize, center: (f64, f64)) {
    let (fill, ink) = colors(candidates, chip);
    let is_zero = candidates[chip].is_zero;
    let outline = Stroke { color: if is_zero { LINE_GRAY } else { fill }, width: 0.8, dashed: false };
    svg.rectangle(center, (CHIP - 1.0, CHIP - 1.0), 2.0, fill, outline);
    svg.text(&(chip + 1).to_string(), center, centered(9.0, ink, true));
}

/// The numbered candidates in as few rows as `width` allows, columns aligned; returns their height.
fn draw_candidates(svg: &mut Svg, candidates: &[Candidate], (left, top): (f64, f64), width: f64) -> f64 {
    let widest = candidates.iter().map(|candidate| text_width(&candidate.name, LABEL_SIZE as i32)).max().unwrap_or(0);
    let column = CHIP + 5.0 + f64::from(widest) + 12.0;
    let most = ((width / column) as usize).max(1);
    let in_a_row = candidates.len().div_ceil(candidates.len().div_ceil(most).max(1)).max(1);
    let row = CHIP_STEP + 4.0;
    svg.open_group("candidates", "candidates of every edge");
    for (chip, candidate) in candidates.iter().enumerate() {
        let x = left + (chip % in_a_row) as f64 * column;
        let y = top + CHIP / 2.0 + (chip / in_a_row) as f64 * row;
        draw_chip(svg, candidates, chip, (x + CHIP / 2.0, y));
        let style = TextStyle { size: LABEL_SIZE, color: INK, bold: false, anchor: "start" };
        svg.text(&candidate.name, (x + CHIP + 5.0, y), style);
    }
    svg.close_group();
    CHIP + candidates.len().div_ceil(in_a_row).saturating_sub(1) as f64 * row
}

const fn centered(size: f64, color: &'static str, bold: bool) -> TextStyle {
    TextStyle { size, color, bold, anchor: "middle" }
}
