//! Where nodes, edges and labels of a panel lie, in pixels from its upper left corner.

use super::{Edge, Panel};
use crate::report::sizes::text_width;

pub const LABEL_SIZE: f64 = 11.0;
pub const NODE_HEIGHT: f64 = 30.0;
pub const CHIP: f64 = 13.0;
pub const CHIP_STEP: f64 = 15.0;
/// Chips in a row of a label.
const CHIPS_PER_ROW: usize = 5;
/// Line of a label's text.
pub const LINE: f64 = 12.0;
/// Inside a label, around its content.
const PADDING: f64 = 4.0;
/// Of an edge that is seen before its label, and after it with the arrow.
const BEFORE_LABEL: f64 = 10.0;
const AFTER_LABEL: f64 = 17.0;
/// Between arcs that leave or reach one node.
const PORT_STEP: f64 = 8.0;
/// Between the labels of two heights.
const LEVEL_GAP: f64 = 9.0;
/// Between the depths of two arcs to the output.
const DEPTH_STEP: f64 = 13.0;
pub const OUTPUT_WIDTH: f64 = 48.0;
/// Under an input.
const CAPTION: f64 = 16.0;

#[derive(Debug)]
pub struct Layout {
    /// Centers of the nodes, the output last.
    pub columns: Vec<f64>,
    pub node_width: f64,
    /// Height of the row of nodes.
    pub axis: f64,
    pub edges: Vec<Placed>,
    pub outputs: Vec<Curve>,
    pub width: f64,
    pub height: f64,
}

/// An edge and its label.
#[derive(Debug)]
pub struct Placed {
    pub curve: Curve,
    /// Center and size.
    pub label: ((f64, f64), (f64, f64)),
}

/// A cubic Bezier curve; straight where the four points are.
#[derive(Clone, Copy, Debug)]
pub struct Curve(pub [(f64, f64); 4]);

impl Curve {
    fn straight(from: (f64, f64), to: (f64, f64)) -> Self {
        Self([from, from, to, to])
    }

    /// From top to top or bottom to bottom; its middle is at the height `apex`.
    fn arc(from: f64, to: f64, base: f64, apex: f64) -> Self {
        let lean = 0.12 * (to - from);
        // The middle of a cubic curve lies at three quarters of its control points.
        let control = base + (apex - base) * 4.0 / 3.0;
        Self([(from, base), (from + lean, control), (to - lean, control), (to, base)])
    }

    /// Where its arrow points.
    pub fn direction(&self) -> (f64, f64) {
        let [from, _, control, to] = self.0;
        if control == to { (to.0 - from.0, to.1 - from.1) } else { (to.0 - control.0, to.1 - control.1) }
    }
}

impl Layout {
    pub fn of(panel: &Panel) -> Self {
        let label = largest_label(panel);
        let most_ports = (0..panel.node_count()).map(|node| ports(panel, node).len()).max().unwrap_or(0);
        let node_width = (PORT_STEP * (most_ports + 1) as f64).max(34.0);
        let step = node_width + label.0 + BEFORE_LABEL + AFTER_LABEL;
        let mut columns: Vec<f64> = (0..panel.node_count()).map(|n| node_width / 2.0 + n as f64 * step).collect();
        let last = columns.last().copied().unwrap_or(0.0);
        columns.push(last + (node_width + OUTPUT_WIDTH) / 2.0 + 34.0);

        let mut spans: Vec<usize> = panel.edges.iter().map(span).filter(|&span| span > 1).collect();
        spans.sort_unstable();
        spans.dedup();
        // The lowest labels stay clear of the nodes, and of the labels on the row.
        let lowest = NODE_HEIGHT.max(label.1) / 2.0 + 14.0 + label.1 / 2.0;
        let rise = |span: usize| {
            let level = spans.iter().position(|&other| other == span).unwrap_or(0);
            lowest + level as f64 * (label.1 + LEVEL_GAP)
        };
        let axis = match spans.last() {
            Some(&widest) => rise(widest) + label.1 / 2.0,
            None => NODE_HEIGHT.max(label.1) / 2.0,
        };
        let top = axis - NODE_HEIGHT / 2.0;
        let edges = panel.edges.iter().map(|edge| {
            let curve = if span(edge) == 1 {
                let half = node_width / 2.0;
                Curve::straight((columns[edge.source] + half, axis), (columns[edge.target] - half, axis))
            } else {
                let port = |node: usize| columns[node] + port_offset(panel, node, edge, node_width);
                Curve::arc(port(edge.source), port(edge.target), top, axis - rise(span(edge)))
            };
            let [from, .., to] = curve.0;
            let shift = if span(edge) == 1 { (BEFORE_LABEL - AFTER_LABEL) / 2.0 } else { 0.0 };
            let height = if span(edge) == 1 { axis } else { axis - rise(span(edge)) };
            Placed { curve, label: (((from.0 + to.0) / 2.0 + shift, height), label_size(panel, edge)) }
        });
        let edges: Vec<Placed> = edges.collect();
        let (outputs, depth) = output_curves(panel, &columns, node_width, axis);
        let below = (NODE_HEIGHT / 2.0 + CAPTION).max(depth);
        let width = columns.last().copied().unwrap_or(0.0) + OUTPUT_WIDTH / 2.0;
        Self { columns, node_width, axis, edges, outputs, width, height: axis + below }
    }
}

/// What leads to the output, and how far below the axis it goes.
fn output_curves(panel: &Panel, columns: &[f64], node_width: f64, axis: f64) -> (Vec<Curve>, f64) {
    let output = columns.last().copied().unwrap_or(0.0);
    let bottom = axis + NODE_HEIGHT / 2.0;
    let mut depth: f64 = 0.0;
    let last = panel.node_count().saturating_sub(1);
    let mut from_below: Vec<usize> = panel.output_nodes.iter().copied().filter(|&node| node != last).collect();
    from_below.sort_unstable();
    let mut curves: Vec<Curve> = Vec::new();
    for (port, &node) in from_below.iter().rev().enumerate() {
        // Captions of the inputs lie above all of these.
        let apex = bottom + CAPTION + DEPTH_STEP * port as f64;
        depth = depth.max(apex - axis + 2.0);
        let end = output - OUTPUT_WIDTH / 2.0 + OUTPUT_WIDTH * (port + 1) as f64 / (from_below.len() + 1) as f64;
        curves.push(Curve::arc(columns[node], end, bottom, apex));
    }
    if panel.output_nodes.contains(&last) {
        let from = (columns[last] + node_width / 2.0, axis);
        curves.push(Curve::straight(from, (output - OUTPUT_WIDTH / 2.0, axis)));
    }
    (curves, depth)
}

fn span(edge: &Edge) -> usize {
    edge.target - edge.source
}

/// The arcs at the top of a node, from left to right: those that arrive, shortest first, then those that leave, longest first. So arcs of one
/// node do not cross.
fn ports(panel: &Panel, node: usize) -> Vec<(usize, usize)> {
    let arcs = || panel.edges.iter().filter(|edge| span(edge) > 1);
    let mut arriving: Vec<&Edge> = arcs().filter(|edge| edge.target == node).collect();
    let mut leaving: Vec<&Edge> = arcs().filter(|edge| edge.source == node).collect();
    arriving.sort_by_key(|edge| span(edge));
    leaving.sort_by_key(|edge| std::cmp::Reverse(span(edge)));
    arriving.into_iter().chain(leaving).map(|edge| (edge.source, edge.target)).collect()
}

/// From the center of `node` to where `edge` meets its top.
fn port_offset(panel: &Panel, node: usize, edge: &Edge, node_width: f64) -> f64 {
    let ports = ports(panel, node);
    let place = ports.iter().position(|&port| port == (edge.source, edge.target)).unwrap_or(0);
    node_width * ((place + 1) as f64 / (ports.len() + 1) as f64 - 0.5)
}

/// Width and height that all labels of a panel fit into.
fn largest_label(panel: &Panel) -> (f64, f64) {
    let sizes = panel.edges.iter().map(|edge| label_size(panel, edge));
    sizes.fold((0.0, 0.0), |(w, h): (f64, f64), (width, height)| (w.max(width), h.max(height)))
}

/// The size of an edge's label: no larger than its content, so that a short name hides little of the lines behind it.
fn label_size(panel: &Panel, edge: &Edge) -> (f64, f64) {
    let (width, height) = match edge.chosen {
        None => chips_size(panel.candidates.len()),
        Some(chosen) => text_size(panel.candidates.get(chosen).map_or("", |candidate| &candidate.name)),
    };
    (width + 2.0 * PADDING, height + 2.0 * PADDING)
}

fn chips_size(count: usize) -> (f64, f64) {
    let side = |chips: usize| chips as f64 * CHIP_STEP - (CHIP_STEP - CHIP);
    (side(chips_in_a_row(count)), side(count.div_ceil(chips_in_a_row(count))))
}

/// Rows as even as they can be.
pub fn chips_in_a_row(count: usize) -> usize {
    count.div_ceil(count.div_ceil(CHIPS_PER_ROW).max(1)).max(1)
}

fn text_size(name: &str) -> (f64, f64) {
    let lines = lines(name);
    let width = lines.iter().map(|line| f64::from(text_width(line, LABEL_SIZE as i32))).fold(0.0, f64::max);
    (width, lines.len() as f64 * LINE)
}

/// A long name in two lines, parted before its last word.
pub fn lines(name: &str) -> Vec<&str> {
    match name.rfind('_') {
        Some(at) if name.chars().count() > 8 => vec![&name[..at], &name[at + 1..]],
        _ => vec![name],
    }
}
