//! Tau inside the true top, as a curve with its confidence band.

use super::ReportError;
use super::axis::{Axis, Frame};
use super::canvas::{DrawingResult, FAINT_INK, draw_svg};
use crate::files::write_bytes_atomically;
use plotters::style::{Color, RGBColor};
use std::path::Path;

const WIDTH: i32 = 560;
const HEIGHT: i32 = 360;
const CURVE: RGBColor = RGBColor(0, 114, 178);

/// A curve over the share of the true top.
#[derive(Clone, Debug, Default)]
pub struct TauCurve {
    pub title: String,
    /// One line under the title, or empty.
    pub subtitle: String,
    /// By rising share.
    pub points: Vec<CurvePoint>,
}

/// A point of the curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Of the children.
    pub percent: f64,
    pub tau: f64,
    /// Its interval, if there is one.
    pub interval: Option<(f64, f64)>,
}

/// Draws `plot` durably into `path` as SVG; equal plots give equal bytes.
///
/// # Errors
///
/// Names the file if it cannot be written.
pub fn tau_curve(path: &Path, plot: &TauCurve) -> Result<(), ReportError> {
    let drawn =
        draw(plot).map_err(|error| ReportError::Drawing { title: plot.title.clone(), reason: error.to_string() })?;
    Ok(write_bytes_atomically(path, drawn.as_bytes())?)
}

fn draw(plot: &TauCurve) -> DrawingResult<String> {
    let ends = plot.points.iter().flat_map(|&CurvePoint { tau, interval, .. }| {
        let (low, high) = interval.unwrap_or((tau, tau));
        [low.min(tau), high.max(tau)]
    });
    // Zero, where the order is as good as a random one, is always in sight.
    let mut vertical = Axis::around("Kendall's tau-b inside the true top".to_owned(), ends.chain([0.0]));
    (vertical.low, vertical.high) = (vertical.low.max(-1.0), vertical.high.min(1.0));
    let horizontal = Axis { label: "true top (% of the children)".to_owned(), low: 0.0, high: 100.0 };
    let frame = Frame::new(horizontal, vertical, (WIDTH, HEIGHT));
    draw_svg(frame.picture_size(), |canvas| {
        canvas.heading(&plot.title, &plot.subtitle)?;
        frame.draw(canvas)?;
        canvas.line(vec![frame.at(0.0, 0.0), frame.at(100.0, 0.0)], FAINT_INK, 1)?;
        // Bands of neighboring points that both have an interval.
        for pair in plot.points.windows(2) {
            let [here, next] = [pair[0], pair[1]];
            if let (Some((low, high)), Some((next_low, next_high))) = (here.interval, next.interval) {
                let start = [frame.at(here.percent, high), frame.at(here.percent, low)];
                let end = [frame.at(next.percent, next_low), frame.at(next.percent, next_high)];
                canvas.area([start, end].concat(), CURVE.mix(0.2))?;
            }
        }
        canvas.line(plot.points.iter().map(|point| frame.at(point.percent, point.tau)).collect(), CURVE, 2)?;
        for point in &plot.points {
            canvas.disc(frame.at(point.percent, point.tau), 3, CURVE.mix(1.0))?;
        }
        Ok(())
    })
}
