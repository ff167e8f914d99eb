//! The diverging colors of a heat map: blue below zero, nearly white at zero, red above.

use plotters::style::{BLACK, RGBColor, WHITE};

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

/// White on dark colors, black on light ones.
///
/// The contrast ratio of WCAG 2 alone would put black on the middle blues, where it is read badly: it overrates dark pairs. At this
/// limit white still has a ratio of 3.2, and black one of 6.4.
pub fn readable_on(background: RGBColor) -> RGBColor {
    const LIMIT: f64 = 0.27;
    if luminance(background) > LIMIT { BLACK } else { WHITE }
}

/// Relative luminance of an sRGB color, from 0 to 1 (IEC 61966-2-1).
fn luminance(RGBColor(red, green, blue): RGBColor) -> f64 {
    let linear = |part: u8| match f64::from(part) / 255.0 {
        part if part <= 0.04045 => part / 12.92,
        part => ((part + 0.055) / 1.055).powf(2.4),
    };
    0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
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

    #[test]
    fn text_stands_out_from_every_color() {
        // CIE lightness, from 0 to 100.
        let lightness = |luminance: f64| 116.0 * luminance.cbrt() - 16.0;
        let colors = (-1000..=1000).map(|position| diverging(f64::from(position) / 1000.0)).chain([MISSING]);
        for color in colors {
            let (text, ground) = (luminance(readable_on(color)), luminance(color));
            let ratio = (text.max(ground) + 0.05) / (text.min(ground) + 0.05);
            let apart = if text > ground { 100.0 - lightness(ground) } else { lightness(ground) };
            assert!(ratio >= 3.2 && apart >= 40.0, "{color:?}: contrast {ratio}, lightness {apart} apart");
        }
        assert_eq!(readable_on(RGBColor(67, 147, 195)), WHITE);
    }
}
