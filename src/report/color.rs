//! The diverging colors of a heat map: blue below zero, nearly white at zero, red above.

use plotters::style::RGBColor;

/// ColorBrewer's `RdBu` with 11 classes, reversed; told apart with every common color blindness.
const STOPS: [(u8, u8, u8); 11] = [
    (5, 48, 97),
    (33, 102, 172),
    (67, 147, 195),
    (146, 197, 222),
    (209, 229, 240),
    (247, 247, 247),
    (253, 219, 199),
    (244, 165, 130),
    (214, 96, 77),
    (178, 24, 43),
    (103, 0, 31),
];

/// Of a value that is not finite.
pub const MISSING: RGBColor = RGBColor(176, 176, 176);

/// The color of `position` between -1 and 1, beyond which it stays the same.
pub fn diverging(position: f64) -> RGBColor {
    let scaled = (position.clamp(-1.0, 1.0) + 1.0) / 2.0 * (STOPS.len() - 1) as f64;
    let stop = (scaled.floor() as usize).min(STOPS.len() - 2);
    let (a, b, part) = (STOPS[stop], STOPS[stop + 1], scaled - stop as f64);
    let mix = |a: u8, b: u8| (f64::from(a) + part * (f64::from(b) - f64::from(a))).round() as u8;
    RGBColor(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

/// Black or white, whichever is read better on `background`.
pub fn readable_on(background: RGBColor) -> RGBColor {
    let RGBColor(red, green, blue) = background;
    let brightness = 0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue);
    if brightness > 115.0 { RGBColor(24, 24, 24) } else { RGBColor(255, 255, 255) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_neutral_and_the_ends_are_blue_and_red() {
        assert_eq!(diverging(0.0), RGBColor(247, 247, 247));
        assert_eq!(diverging(-1.0), RGBColor(5, 48, 97));
        assert_eq!(diverging(7.0), RGBColor(103, 0, 31));
        assert_eq!(diverging(0.1), RGBColor(250, 233, 223));
    }
}
