//! What every plot draws with: text, filled shapes, and the sizes they share.

use super::layout::{MARGIN, TEXT_SIZE, TITLE_SIZE};
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontFamily, FontStyle, RGBAColor, RGBColor, ShapeStyle, TextStyle, WHITE};

pub const INK: RGBColor = RGBColor(24, 24, 24);
pub const FAINT_INK: RGBColor = RGBColor(96, 96, 96);

pub type DrawingResult<T> = Result<T, Box<dyn std::error::Error>>;

/// A white SVG picture. Positions and sizes are pixels.
pub struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

/// The SVG that `draw` makes of an empty canvas.
pub fn draw_svg((width, height): (i32, i32), draw: impl FnOnce(&Canvas) -> DrawingResult<()>) -> DrawingResult<String> {
    let mut svg = String::new();
    let backend = SVGBackend::with_string(&mut svg, (width as u32, height as u32));
    let canvas = Canvas { area: backend.into_drawing_area() };
    canvas.area.fill(&WHITE)?;
    draw(&canvas)?;
    canvas.area.present()?;
    drop(canvas);
    Ok(svg)
}

/// `size` in pixels: the SVG backend divides what it is given by 1.24.
pub fn font(size: i32) -> FontDesc<'static> {
    FontDesc::new(FontFamily::SansSerif, f64::from(size) * 1.24, FontStyle::Normal)
}

impl<'a> Canvas<'a> {
    /// The part of it that begins at a horizontal position, with positions of its own.
    pub fn part(&self, left: i32, (width, height): (i32, i32)) -> Canvas<'a> {
        Canvas { area: self.area.clone().shrink((left, 0), (width as u32, height as u32)) }
    }

    /// A title and one line under it, at the top.
    pub fn heading(&self, title: &str, subtitle: &str) -> DrawingResult<()> {
        let bold = font(TITLE_SIZE).style(FontStyle::Bold);
        self.text(title, (MARGIN, MARGIN), bold, INK, (HPos::Left, VPos::Top))?;
        let below = MARGIN + TITLE_SIZE + 8;
        self.text(subtitle, (MARGIN, below), font(TEXT_SIZE), FAINT_INK, (HPos::Left, VPos::Top))
    }

    pub fn text(
        &self,
        text: &str,
        at: (i32, i32),
        font: FontDesc<'_>,
        color: RGBColor,
        (horizontal, vertical): (HPos, VPos),
    ) -> DrawingResult<()> {
        let style = TextStyle::from(font).color(&color).pos(Pos::new(horizontal, vertical));
        Ok(self.area.draw(&Text::new(text, at, style))?)
    }

    pub fn rectangle(
        &self,
        (left, top): (i32, i32),
        (width, height): (i32, i32),
        color: RGBColor,
    ) -> DrawingResult<()> {
        Ok(self.area.draw(&Rectangle::new([(left, top), (left + width, top + height)], color.filled()))?)
    }

    /// Four filled lines, because a stroke would lie half outside and blur.
    pub fn frame(&self, (left, top): (i32, i32), (width, height): (i32, i32), color: RGBColor) -> DrawingResult<()> {
        self.rectangle((left, top), (width, 1), color)?;
        self.rectangle((left, top + height - 1), (width, 1), color)?;
        self.rectangle((left, top), (1, height), color)?;
        self.rectangle((left + width - 1, top), (1, height), color)
    }

    pub fn disc(&self, center: (i32, i32), radius: i32, color: RGBAColor) -> DrawingResult<()> {
        Ok(self.area.draw(&Circle::new(center, radius, color.filled()))?)
    }

    pub fn area(&self, corners: Vec<(i32, i32)>, color: RGBAColor) -> DrawingResult<()> {
        Ok(self.area.draw(&Polygon::new(corners, color.filled()))?)
    }

    pub fn line(&self, points: Vec<(i32, i32)>, color: RGBColor, width: u32) -> DrawingResult<()> {
        let style = ShapeStyle { color: color.into(), filled: false, stroke_width: width };
        Ok(self.area.draw(&PathElement::new(points, style))?)
    }
}
