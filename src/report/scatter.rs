//! Truth against prediction, a point a child.

use super::ReportError;
use super::axis::{Axis, Frame};
use super::canvas::{Canvas, DrawingResult, INK, draw_svg, font};
use super::sizes::{LABEL_GAP, TEXT_SIZE};
use crate::files::write_bytes_atomically;
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, RGBColor};
use std::path::Path;

const SIDE: i32 = 480;
/// Okabe and Ito's blue and vermilion: told apart with every common color blindness.
const OTHERS: RGBColor = RGBColor(0, 114, 178);
const HIGHLIGHTED: RGBColor = RGBColor(213, 94, 0);

/// A scatter plot of children.
#[derive(Clone, Debug, Default)]
pub struct Scatter {
    pub title: String,
    /// One line under the title, or empty.
    pub subtitle: String,
    /// With units.
    pub truth_label: String,
    pub predicted_label: String,
    /// `(truth, predicted)`.
    pub points: Vec<(f64, f64)>,
    /// Points that stand out.
    pub highlighted: Vec<usize>,
    /// What they are.
    pub highlight_label: String,
}

/// Draws `plot` durably into `path` as SVG; equal plots give equal bytes. The truth is on the horizontal axis.
///
/// # Errors
///
/// Names the file if it cannot be written.
pub fn scatter(path: &Path, plot: &Scatter) -> Result<(), ReportError> {
    let drawn =
        draw(plot).map_err(|error| ReportError::Drawing { title: plot.title.clone(), reason: error.to_string() })?;
    Ok(write_bytes_atomically(path, drawn.as_bytes())?)
}

fn draw(plot: &Scatter) -> DrawingResult<String> {
    let horizontal = Axis::around(plot.truth_label.clone(), plot.points.iter().map(|point| point.0));
    let vertical = Axis::around(plot.predicted_label.clone(), plot.points.iter().map(|point| point.1));
    let frame = Frame::new(horizontal, vertical, (SIDE, SIDE));
    // Points are smaller and fainter where there are many.
    let (radius, opacity) = match plot.points.len() {
        0..=100 => (5, 0.75),
        101..=1000 => (4, 0.5),
        _ => (2, 0.3),
    };
    draw_svg(frame.picture_size(), |canvas| {
        canvas.heading(&plot.title, &plot.subtitle)?;
        frame.draw(canvas)?;
        let highlighted: std::collections::BTreeSet<usize> = plot.highlighted.iter().copied().collect();
        let others = (0..plot.points.len()).filter(|point| !highlighted.contains(point));
        for (point, color) in others.map(|point| (point, OTHERS)).chain(highlighted.iter().map(|&p| (p, HIGHLIGHTED))) {
            if let Some(&(truth, predicted)) = plot.points.get(point) {
                canvas.disc(frame.at(truth, predicted), radius, color.mix(opacity))?;
            }
        }
        draw_legend(canvas, plot, &frame)
    })
}

/// Above the frame, at its right: no point can lie there.
fn draw_legend(canvas: &Canvas, plot: &Scatter, frame: &Frame) -> DrawingResult<()> {
    if plot.highlighted.is_empty() {
        return Ok(());
    }
    let (right, top) = (frame.right_bottom().0, frame.left_top().1 - LABEL_GAP - TEXT_SIZE / 2);
    canvas.text(&plot.highlight_label, (right, top), font(TEXT_SIZE), INK, (HPos::Right, VPos::Center))?;
    let width = (plot.highlight_label.chars().count() as f64 * f64::from(TEXT_SIZE) * 0.56).ceil() as i32;
    canvas.disc((right - width - 2 * LABEL_GAP, top), 5, HIGHLIGHTED.mix(1.0))
}
