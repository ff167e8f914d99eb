//! SVG elements as text.

use std::fmt::Write;

/// Fonts of the same widths on every system, and what browsers fall back to.
const FONTS: &str = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";

/// A document that grows.
#[derive(Debug, Default)]
pub struct Svg {
    body: String,
}

/// How a text stands at its point.
#[derive(Clone, Copy, Debug)]
pub struct TextStyle {
    pub size: f64,
    pub color: &'static str,
    pub bold: bool,
    /// `start`, `middle` or `end`.
    pub anchor: &'static str,
}

/// How a line or an outline is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Stroke {
    pub color: &'static str,
    pub width: f64,
    pub dashed: bool,
}

impl Svg {
    /// Opens a group of one class, whose title readers show for what is in it.
    pub fn open_group(&mut self, class: &str, title: &str) {
        self.line(format_args!("<g class=\"{class}\">"));
        self.line(format_args!("<title>{}</title>", escaped(title)));
    }

    pub fn close_group(&mut self) {
        self.line(format_args!("</g>"));
    }

    /// `at` is the middle of the text's height.
    pub fn text(&mut self, text: &str, (x, y): (f64, f64), style: TextStyle) {
        let TextStyle { size, color, bold, anchor } = style;
        let weight = if bold { " font-weight=\"bold\"" } else { "" };
        // Letters are centered by their height of 0.7 em, because not every reader knows `dominant-baseline`.
        let baseline = y + 0.35 * size;
        self.line(format_args!(
            "<text x=\"{x:.1}\" y=\"{baseline:.1}\" font-size=\"{size}\" fill=\"{color}\" text-anchor=\"{anchor}\"{weight}>{}</text>",
            escaped(text)
        ));
    }

    /// A rectangle with round corners around its center.
    pub fn rectangle(
        &mut self,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        radius: f64,
        fill: &str,
        stroke: Stroke,
    ) {
        let (left, top) = (x - width / 2.0, y - height / 2.0);
        self.line(format_args!(
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"{radius}\" fill=\"{fill}\"{}/>",
            attributes(stroke)
        ));
    }

    /// A path of SVG commands.
    pub fn path(&mut self, commands: &str, stroke: Stroke) {
        self.line(format_args!("<path d=\"{commands}\" fill=\"none\"{}/>", attributes(stroke)));
    }

    /// A filled triangle whose point is at `tip` and looks along `direction`.
    pub fn arrow_head(&mut self, (x, y): (f64, f64), (dx, dy): (f64, f64), color: &str) {
        let length = dx.hypot(dy).max(1e-9);
        let (ux, uy) = (dx / length, dy / length);
        let (back, half) = (7.0, 3.2);
        let (bx, by) = (x - back * ux, y - back * uy);
        let (left, right) = ((bx - half * uy, by + half * ux), (bx + half * uy, by - half * ux));
        self.line(format_args!(
            "<path d=\"M{x:.1} {y:.1}L{:.1} {:.1}L{:.1} {:.1}Z\" fill=\"{color}\"/>",
            left.0, left.1, right.0, right.1
        ));
    }

    /// The whole file: white, `width` x `height` pixels.
    pub fn finish(self, title: &str, width: f64, height: f64) -> String {
        let Self { body } = self;
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"{FONTS}\">\n\
             <title>{}</title>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
             {body}</svg>\n",
            escaped(title)
        )
    }

    fn line(&mut self, text: std::fmt::Arguments) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.body, "{text}");
    }
}

fn attributes(stroke: Stroke) -> String {
    let dashes = if stroke.dashed { " stroke-dasharray=\"4 3\"" } else { "" };
    format!(" stroke=\"{}\" stroke-width=\"{}\"{dashes}", stroke.color, stroke.width)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
