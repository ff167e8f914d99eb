//! Where the parts of a heat map lie, in pixels.

use super::matrix::HeatMap;
use crate::report::scale::Scale;
use crate::report::sizes::{GAP, LABEL_GAP, MARGIN, TEXT_SIZE, TITLE_SIZE, text_width};

pub const VALUE_SIZE: i32 = 11;
/// Width of the color bar.
pub const BAR_WIDTH: i32 = 16;
pub const ROW_GAP: i32 = 8;
/// A matrix of one or two cells grows to this, so that the labels of its axes fit beside it.
const LEAST_SIDE: i32 = 184;
/// Values are printed into matrices of at most this many rows and columns.
const PRINTED_LIMIT: usize = 17;
/// Labels of more characters lose their middle.
const LABEL_CHARACTERS: usize = 40;
/// All positions and sizes.
#[derive(Debug)]
pub struct Layout {
    pub width: i32,
    pub height: i32,
    /// Upper left corner of the matrix.
    pub left: i32,
    pub top: i32,
    /// Side of a cell.
    pub cell: i32,
    /// White line between cells.
    pub line: i32,
    pub prints_values: bool,
    pub label_size: i32,
    /// Of the widest tick label of the color bar.
    tick_width: i32,
    /// Every how many rows and columns there is a label.
    pub label_step: usize,
    pub upright_column_labels: bool,
    rows: usize,
    columns: usize,
    last_row_apart: bool,
}

impl Layout {
    pub fn of(map: &HeatMap, scale: &Scale) -> Self {
        let (rows, columns) = (map.row_labels.len(), map.column_labels.len());
        let prints_values = rows.max(columns) <= PRINTED_LIMIT;
        let cell = match rows.max(columns) {
            few @ 0..=6 => 68.max(LEAST_SIDE / few.max(1) as i32),
            7..=PRINTED_LIMIT => 48,
            larger => (896 / larger as i32).clamp(4, 28),
        };
        let label_size = (cell - 2).clamp(10, 12);
        let widest =
            |labels: &[String]| labels.iter().map(|label| text_width(&shortened(label), label_size)).max().unwrap_or(0);
        let column_label_width = widest(&map.column_labels);
        let upright_column_labels = column_label_width > cell - 4;
        let column_label_height = if upright_column_labels { column_label_width } else { label_size };
        let heading = TITLE_SIZE + if map.subtitle.is_empty() { 0 } else { TEXT_SIZE + 8 };
        let left = MARGIN + TEXT_SIZE + 2 * LABEL_GAP + widest(&map.row_labels) + LABEL_GAP;
        let top = MARGIN + heading + GAP;
        let mut layout = Self {
            width: 0,
            height: 0,
            left,
            top,
            cell,
            line: i32::from(prints_values),
            prints_values,
            label_size,
            tick_width: scale
                .ticks()
                .iter()
                .map(|&tick| text_width(&scale.tick_text(tick), label_size))
                .max()
                .unwrap_or(0),
            label_step: (label_size as usize + 1).div_ceil(cell as usize),
            upright_column_labels,
            rows,
            columns,
            last_row_apart: map.last_row_apart && rows > 1,
        };
        let heading_width = text_width(&map.title, TITLE_SIZE).max(text_width(&map.subtitle, TEXT_SIZE));
        layout.width = (layout.right() + layout.bar_width()).max(MARGIN + heading_width) + MARGIN;
        let below = LABEL_GAP + column_label_height + 2 * LABEL_GAP + TEXT_SIZE;
        layout.height = layout.bottom() + below + MARGIN;
        layout
    }

    /// Upper edge of a row of cells.
    pub fn row_top(&self, row: usize) -> i32 {
        let apart = self.last_row_apart && row + 1 >= self.rows;
        self.top + row as i32 * self.cell + if apart { ROW_GAP } else { 0 }
    }

    /// Left edge of a column of cells.
    pub fn column_left(&self, column: usize) -> i32 {
        self.left + column as i32 * self.cell
    }

    pub fn right(&self) -> i32 {
        self.column_left(self.columns)
    }

    /// From the matrix to the end of the color bar's label.
    pub fn bar_width(&self) -> i32 {
        GAP + BAR_WIDTH + 2 * LABEL_GAP + self.tick_width + LABEL_GAP + TEXT_SIZE
    }

    pub fn bottom(&self) -> i32 {
        self.row_top(self.rows - 1) + self.cell
    }
}

/// The label, without its middle if it is long.
pub fn shortened(label: &str) -> String {
    let characters: Vec<char> = label.chars().collect();
    if characters.len() <= LABEL_CHARACTERS {
        return label.to_string();
    }
    let kept = LABEL_CHARACTERS / 2;
    let (start, end) = (&characters[..kept], &characters[characters.len() - kept + 1..]);
    start.iter().chain(&['…']).chain(end).collect()
}
