//! A matrix of changes as an SVG picture.

use super::ReportError;
use super::canvas::{Canvas, DrawingResult, INK, draw_svg, font};
use super::color::{MISSING, diverging, readable_on};
use super::layout::{BAR_WIDTH, GAP, LABEL_GAP, Layout, MARGIN, TEXT_SIZE, VALUE_SIZE, shortened};
use super::scale::Scale;
use crate::files::write_bytes_atomically;
use plotters::style::FontTransform;
use plotters::style::text_anchor::{HPos, VPos};
use std::path::Path;

/// `values[row][column]`, with a label for every row and column. A value that is not finite is gray.
#[derive(Clone, Debug, Default)]
pub struct HeatMap {
    pub title: String,
    /// One line under the title, or empty.
    pub subtitle: String,
    pub row_axis: String,
    pub column_axis: String,
    pub row_labels: Vec<String>,
    pub column_labels: Vec<String>,
    pub values: Vec<Vec<f64>>,
    /// What the color bar measures, with its unit.
    pub value_label: String,
    /// The ends of the color bar; without it, the largest absolute value. Values beyond it take the color of the end.
    pub limit: Option<f64>,
    /// Whether the last row is of another kind than those above, as the step with gradient zero is.
    pub last_row_apart: bool,
}

/// Draws `map` durably into `path` as SVG; equal maps give equal bytes. A cell whose row and column have the same label is framed.
///
/// # Errors
///
/// Names the map if its labels do not fit its values, or the file if it cannot be written.
pub fn heat_map(path: &Path, map: &HeatMap) -> Result<(), ReportError> {
    heat_maps(path, std::slice::from_ref(map))
}

/// As [`heat_map`], with several maps side by side.
///
/// # Errors
///
/// As [`heat_map`].
pub fn heat_maps(path: &Path, maps: &[HeatMap]) -> Result<(), ReportError> {
    maps.iter().try_for_each(check)?;
    let title = maps.first().map_or_else(String::new, |map| map.title.clone());
    let drawn = draw(maps).map_err(|error| ReportError::Drawing { title, reason: error.to_string() })?;
    Ok(write_bytes_atomically(path, drawn.as_bytes())?)
}

fn check(map: &HeatMap) -> Result<(), ReportError> {
    let wrong = |axis, labels, values| Err(ReportError::Labels { title: map.title.clone(), axis, labels, values });
    let (rows, columns) = (map.row_labels.len(), map.column_labels.len());
    if rows != map.values.len() || rows == 0 {
        return wrong("row", rows, map.values.len());
    }
    match map.values.iter().find(|row| row.len() != columns || columns == 0) {
        Some(row) => wrong("column", columns, row.len()),
        None => Ok(()),
    }
}

fn draw(maps: &[HeatMap]) -> DrawingResult<String> {
    let measured = maps.iter().map(|map| {
        let scale = match map.limit {
            Some(limit) if limit.is_finite() && limit > 0.0 => Scale::with_limit(limit),
            _ => Scale::around(map.values.iter().flatten().copied()),
        };
        (map, Layout::of(map, &scale), scale)
    });
    let measured: Vec<(&HeatMap, Layout, Scale)> = measured.collect();
    let width = measured.iter().map(|(_, layout, _)| layout.width).sum();
    let height = measured.iter().map(|(_, layout, _)| layout.height).max().unwrap_or(0);
    draw_svg((width, height), |canvas| {
        let mut left = 0;
        for (map, layout, scale) in &measured {
            draw_map(&canvas.part(left, (layout.width, layout.height)), map, layout, scale)?;
            left += layout.width;
        }
        Ok(())
    })
}

fn draw_map(canvas: &Canvas, map: &HeatMap, layout: &Layout, scale: &Scale) -> DrawingResult<()> {
    canvas.heading(&map.title, &map.subtitle)?;
    draw_cells(canvas, map, layout, scale)?;
    draw_labels(canvas, map, layout)?;
    draw_color_bar(canvas, map, layout, scale)
}

fn draw_cells(canvas: &Canvas, map: &HeatMap, layout: &Layout, scale: &Scale) -> DrawingResult<()> {
    let side = layout.cell - layout.line;
    for (row, values) in map.values.iter().enumerate() {
        for (column, &value) in values.iter().enumerate() {
            let (left, top) = (layout.column_left(column), layout.row_top(row));
            let color = if value.is_finite() { diverging(value / scale.limit) } else { MISSING };
            canvas.rectangle((left, top), (side, side), color)?;
            if layout.prints_values {
                let center = (left + side / 2, top + side / 2);
                let text = scale.value_text(value);
                canvas.text(&text, center, font(VALUE_SIZE), readable_on(color), (HPos::Center, VPos::Center))?;
            }
        }
    }
    frame_own_cells(canvas, map, layout)
}

/// Frames the cells whose row and column are the same child. The frame lies around the cell, where it stands out from dark cells too.
fn frame_own_cells(canvas: &Canvas, map: &HeatMap, layout: &Layout) -> DrawingResult<()> {
    let side = layout.cell - layout.line + 2;
    for (row, row_label) in map.row_labels.iter().enumerate() {
        for (column, _) in map.column_labels.iter().enumerate().filter(|(_, label)| *label == row_label) {
            canvas.frame((layout.column_left(column) - 1, layout.row_top(row) - 1), (side, side), INK)?;
        }
    }
    Ok(())
}

fn draw_labels(canvas: &Canvas, map: &HeatMap, layout: &Layout) -> DrawingResult<()> {
    let label_font = || font(layout.label_size);
    let half_cell = (layout.cell - layout.line) / 2;
    let last_row = map.row_labels.len() - 1;
    for (row, label) in map.row_labels.iter().enumerate() {
        if row % layout.label_step == 0 || (row == last_row && map.last_row_apart) {
            let at = (layout.left - LABEL_GAP, layout.row_top(row) + half_cell);
            canvas.text(&shortened(label), at, label_font(), INK, (HPos::Right, VPos::Center))?;
        }
    }
    let below = layout.bottom() + LABEL_GAP;
    for (column, label) in map.column_labels.iter().enumerate().step_by(layout.label_step) {
        let at = (layout.column_left(column) + half_cell, below);
        if layout.upright_column_labels {
            let upright = label_font().transform(FontTransform::Rotate270);
            canvas.text(&shortened(label), at, upright, INK, (HPos::Right, VPos::Center))?;
        } else {
            canvas.text(label, at, label_font(), INK, (HPos::Center, VPos::Top))?;
        }
    }
    let across = (layout.left + layout.right()) / 2;
    let down = (layout.top + layout.bottom()) / 2;
    let upright = font(TEXT_SIZE).transform(FontTransform::Rotate270);
    canvas.text(&map.row_axis, (MARGIN, down), upright, INK, (HPos::Center, VPos::Top))?;
    let lowest = (across, layout.height - MARGIN);
    canvas.text(&map.column_axis, lowest, font(TEXT_SIZE), INK, (HPos::Center, VPos::Bottom))
}

fn draw_color_bar(canvas: &Canvas, map: &HeatMap, layout: &Layout, scale: &Scale) -> DrawingResult<()> {
    let (left, top, height) = (layout.right() + GAP, layout.top, layout.bottom() - layout.top - layout.line);
    for line in (0..height).step_by(2) {
        let position = 1.0 - 2.0 * f64::from(line + 1) / f64::from(height);
        canvas.rectangle((left, top + line), (BAR_WIDTH, 2.min(height - line)), diverging(position))?;
    }
    for tick in scale.ticks() {
        let down = f64::from(height - 1) * (1.0 - tick / scale.limit) / 2.0;
        let at = (left + BAR_WIDTH, top + down.round() as i32);
        canvas.rectangle(at, (4, 1), INK)?;
        let beside = (at.0 + 4 + LABEL_GAP, at.1);
        canvas.text(&scale.tick_text(tick), beside, font(layout.label_size), INK, (HPos::Left, VPos::Center))?;
    }
    let is_clipped = map.values.iter().flatten().any(|value| value.is_finite() && value.abs() > scale.limit);
    let clipped = if is_clipped { ", clipped" } else { "" };
    let label = format!("{}{}{clipped}", map.value_label, scale.unit_text());
    let beside = (layout.right() + layout.bar_width(), top + height / 2);
    let upright = font(TEXT_SIZE).transform(FontTransform::Rotate270);
    canvas.text(&label, beside, upright, INK, (HPos::Center, VPos::Bottom))
}
