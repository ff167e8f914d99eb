//! A frame with two linear axes: ticks, grid, labels, and where a value lies in it.

use super::canvas::{Canvas, DrawingResult, FAINT_INK, INK, font};
use super::scale::{decimals_of, round_step, signed};
use super::sizes::{GAP, LABEL_GAP, MARGIN, TEXT_SIZE, TITLE_SIZE};
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{FontTransform, RGBColor};

const GRID: RGBColor = RGBColor(228, 228, 228);
const TICK_SIZE: i32 = 12;
/// Room for the tick labels of the vertical axis.
const TICK_WIDTH: i32 = 44;
/// Ticks of an axis at most, or nearly.
const TICKS: f64 = 7.0;

/// The numbers along one side.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What is measured, with its unit.
    pub label: String,
    pub low: f64,
    pub high: f64,
}

impl Axis {
    /// Holds all values with a little room on both sides.
    pub fn around(label: String, values: impl IntoIterator<Item = f64>) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(|value| value.is_finite()) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let room = if high > low { 0.05 * (high - low) } else { 0.05 * high.abs().max(1e-3) };
        Self { label, low: low - room, high: high + room }
    }

    fn step(&self) -> f64 {
        round_step((self.high - self.low) / TICKS)
    }

    /// Round numbers within, rising.
    fn ticks(&self) -> Vec<f64> {
        let step = self.step();
        let (first, last) = ((self.low / step - 1e-9).ceil() as i64, (self.high / step + 1e-9).floor() as i64);
        (first..=last).map(|tick| tick as f64 * step).collect()
    }

    fn text(&self, tick: f64) -> String {
        signed(tick, decimals_of(self.step()))
    }

    /// 0 at the low end, 1 at the high one.
    fn position(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// A plot's frame in a picture.
#[derive(Clone, Debug)]
pub struct Frame {
    pub horizontal: Axis,
    pub vertical: Axis,
    left: i32,
    top: i32,
    width: i32,
    height: i32,
}

impl Frame {
    /// A frame of this size under a heading, its axes labeled at the left and below.
    pub fn new(horizontal: Axis, vertical: Axis, (width, height): (i32, i32)) -> Self {
        let left = MARGIN + TEXT_SIZE + 2 * LABEL_GAP + TICK_WIDTH;
        let top = MARGIN + TITLE_SIZE + 8 + TEXT_SIZE + GAP;
        Self { horizontal, vertical, left, top, width, height }
    }

    /// Of the whole picture.
    pub fn picture_size(&self) -> (i32, i32) {
        let below = LABEL_GAP + TICK_SIZE + 2 * LABEL_GAP + TEXT_SIZE + MARGIN;
        (self.left + self.width + MARGIN, self.top + self.height + below)
    }

    pub fn left_top(&self) -> (i32, i32) {
        (self.left, self.top)
    }

    pub fn right_bottom(&self) -> (i32, i32) {
        (self.left + self.width, self.top + self.height)
    }

    /// Where a point lies.
    pub fn at(&self, x: f64, y: f64) -> (i32, i32) {
        let across = self.horizontal.position(x).clamp(0.0, 1.0) * f64::from(self.width);
        let up = self.vertical.position(y).clamp(0.0, 1.0) * f64::from(self.height);
        (self.left + across.round() as i32, self.top + self.height - up.round() as i32)
    }

    /// Grid, ticks and labels; draw it before what lies on it.
    pub fn draw(&self, canvas: &Canvas) -> DrawingResult<()> {
        let (right, bottom) = self.right_bottom();
        for tick in self.horizontal.ticks() {
            let (x, _) = self.at(tick, self.vertical.low);
            canvas.rectangle((x, self.top), (1, self.height), GRID)?;
            let text = self.horizontal.text(tick);
            canvas.text(&text, (x, bottom + LABEL_GAP), font(TICK_SIZE), INK, (HPos::Center, VPos::Top))?;
        }
        for tick in self.vertical.ticks() {
            let (_, y) = self.at(self.horizontal.low, tick);
            canvas.rectangle((self.left, y), (self.width, 1), GRID)?;
            let text = self.vertical.text(tick);
            canvas.text(&text, (self.left - LABEL_GAP, y), font(TICK_SIZE), INK, (HPos::Right, VPos::Center))?;
        }
        canvas.rectangle((self.left, bottom), (self.width, 1), FAINT_INK)?;
        canvas.rectangle((self.left, self.top), (1, self.height), FAINT_INK)?;
        let (_, picture_height) = self.picture_size();
        let lowest = ((self.left + right) / 2, picture_height - MARGIN);
        canvas.text(&self.horizontal.label, lowest, font(TEXT_SIZE), INK, (HPos::Center, VPos::Bottom))?;
        let upright = font(TEXT_SIZE).transform(FontTransform::Rotate270);
        let middle = (self.top + bottom) / 2;
        canvas.text(&self.vertical.label, (MARGIN, middle), upright, INK, (HPos::Center, VPos::Top))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within_the_axis() {
        let axis = Axis::around("accuracy (%)".to_owned(), [70.1, 84.9, f64::NAN]);
        let texts: Vec<String> = axis.ticks().into_iter().map(|tick| axis.text(tick)).collect();
        assert_eq!(texts, ["70.0", "72.5", "75.0", "77.5", "80.0", "82.5", "85.0"]);
        for values in [vec![], vec![5.0], vec![0.0], vec![-1e-9, 1e-9], vec![1e7, 3e7]] {
            let axis = Axis::around(String::new(), values);
            assert!(axis.low < axis.high && (2..=9).contains(&axis.ticks().len()), "{axis:?}");
        }
    }

    #[test]
    fn points_lie_where_the_axes_say() {
        let axis = |high| Axis { label: String::new(), low: 0.0, high };
        let frame = Frame::new(axis(10.0), axis(1.0), (100, 50));
        let (left, top) = frame.left_top();
        assert_eq!(frame.at(0.0, 1.0), (left, top));
        assert_eq!(frame.at(5.0, 0.5), (left + 50, top + 25));
        assert_eq!(frame.at(99.0, -3.0), frame.right_bottom());
    }
}
