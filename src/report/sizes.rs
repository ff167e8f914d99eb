//! Sizes that pictures share, in pixels.

pub const MARGIN: i32 = 24;
pub const TITLE_SIZE: i32 = 18;
pub const TEXT_SIZE: i32 = 13;
/// Between a picture and what explains its colors.
pub const GAP: i32 = 24;
/// Between a label and what it labels.
pub const LABEL_GAP: i32 = 6;

/// An estimate from above, because the reader's font is not known.
pub fn text_width(text: &str, size: i32) -> i32 {
    (text.chars().count() as f64 * f64::from(size) * 0.62).ceil() as i32
}
