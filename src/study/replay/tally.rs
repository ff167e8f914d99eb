//! How far one quantity of a trace deviates, value by value.

use super::Part;

/// A quantity compared: one row of the report.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub part: Part,
    /// What of the part: `loss`, `correct` ...
    pub quantity: &'static str,
    /// Deviations up to this agree; 0 where values must be the same.
    pub tolerance: f64,
    pub compared: usize,
    /// How many deviate beyond the tolerance.
    pub beyond: usize,
    /// The largest of all, within the tolerance or beyond; `None` if nothing deviates at all.
    pub largest: Option<Deviation>,
    /// The first beyond the tolerance: the earliest step, the parameter nearest to the images, the first row.
    pub first: Option<Deviation>,
}

#[derive(Clone, Debug)]
pub struct Deviation {
    /// Infinite where there is nothing to compare with.
    pub size: f64,
    /// Step, parameter or child.
    pub place: String,
    /// What was found, and what the trace says.
    pub detail: String,
}

impl Comparison {
    pub(super) fn new(part: Part, quantity: &'static str, tolerance: f64) -> Self {
        Self { part, quantity, tolerance, compared: 0, beyond: 0, largest: None, first: None }
    }

    pub fn agrees(&self) -> bool {
        self.beyond == 0
    }

    /// Adds one value; `describe` gives its place and detail.
    pub(super) fn add(&mut self, size: f64, describe: impl FnOnce() -> (String, String)) {
        self.compared += 1;
        let size = if size.is_nan() { f64::INFINITY } else { size };
        let is_largest = size > self.largest.as_ref().map_or(0.0, |largest| largest.size);
        let is_beyond = size > self.tolerance;
        self.beyond += usize::from(is_beyond);
        let is_first = is_beyond && self.first.is_none();
        if is_largest || is_first {
            let (place, detail) = describe();
            let deviation = Deviation { size, place, detail };
            if is_first {
                self.first = Some(deviation.clone());
            }
            if is_largest {
                self.largest = Some(deviation);
            }
        }
    }

    /// Adds a count with its absolute deviation.
    pub(super) fn add_count(&mut self, found: u32, expected: u32, place: impl FnOnce() -> String) {
        self.add(f64::from(found.abs_diff(expected)), || (place(), format!("{found} here, {expected} in the trace")));
    }

    /// Adds a share of `images` that were classified correctly, with its absolute deviation. A trace may round it: what lies within
    /// half an image of what was found means the same count and does not deviate.
    pub(super) fn add_accuracy(&mut self, found: f64, expected: f64, images: u32, place: impl FnOnce() -> String) {
        let deviation = (found - expected).abs();
        let size = if deviation * f64::from(images) < 0.5 { 0.0 } else { deviation };
        self.add(size, || (place(), format!("{found} here, {expected} in the trace")));
    }

    /// Adds a loss with its relative deviation.
    pub(super) fn add_loss(&mut self, found: f64, expected: f64, place: impl FnOnce() -> String) {
        let size = (found - expected).abs() / expected.abs().max(LOSS_FLOOR);
        self.add(size, || (place(), format!("{found} here, {expected} in the trace")));
    }
}

/// Losses below this count as this much, so that one that is nearly zero has no huge relative deviation.
const LOSS_FLOOR: f64 = 1e-6;
