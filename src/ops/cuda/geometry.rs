//! How a stage's pixels are cut into tiles: functions of its shape and of the lane's images alone.

use super::DeviceWindow;
use crate::ops::{Operation, Window};
use crate::tensor::Shape;
use bytemuck::{Pod, Zeroable};

/// Pixels of a tile at most.
pub(in crate::ops) const TILE_PIXELS: u32 = 128;

/// Chunks that a map is cut into, so that one lane alone fills a device, if it has the tiles for them.
const CHUNKS: u32 = 32;

/// Tiles of a chunk at most (`WEIGHT_TILES` of kernels/product.cuh).
pub(in crate::ops) const MOST_TILES: u32 = 8;

/// Pixels around a tile of several images at most, so that a slice of 16 channels fits the shared memory of every device.
const HALO_PIXELS: u32 = 768;

/// A map and its tiles: `rows` x `columns` pixels of one image, or `together` whole images.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Tiling {
    pub images: u32,
    pub height: u32,
    pub width: u32,
    pub together: u32,
    pub rows: u32,
    pub columns: u32,
    /// Of all images.
    pub tiles: u32,
    /// Tiles of a block that sums up what it computes.
    pub chunk: u32,
}

// kernels/stage.cuh asserts the same.
const _: () = assert!(size_of::<Tiling>() == 32);

impl Tiling {
    /// Of maps of this height and width.
    pub fn new(images: usize, shape: Shape) -> Self {
        let [images, height, width] = [images, shape.height, shape.width].map(|extent| extent as u32);
        let columns = width.min(TILE_PIXELS);
        let rows = (TILE_PIXELS / columns).min(height);
        let together = if rows == height && columns == width { TILE_PIXELS / (rows * columns) } else { 1 };
        Self { images, height, width, together, rows, columns, tiles: 0, chunk: 0 }.in_tiles_of(together)
    }

    /// The same with so many images in a tile.
    fn in_tiles_of(self, together: u32) -> Self {
        let tiles =
            self.images.div_ceil(together) * self.height.div_ceil(self.rows) * self.width.div_ceil(self.columns);
        Self { together, tiles, chunk: (tiles / CHUNKS).clamp(1, MOST_TILES), ..self }
    }

    /// Blocks that sum up what they compute.
    pub(in crate::ops) const fn chunks(&self) -> u32 {
        self.tiles.div_ceil(self.chunk)
    }

    /// Blocks that sum up gradients of weights, a part each: few, as each leaves as many numbers as there are weights.
    pub(in crate::ops) const fn weight_chunks(&self) -> u32 {
        self.tiles.div_ceil(MOST_TILES)
    }
}

/// The shapes of a stage as its kernels see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    pub from: Tiling,
    pub to: Tiling,
    pub window: DeviceWindow,
    /// Stored channels.
    pub in_channels: u32,
    pub out_channels: u32,
}

impl Geometry {
    /// Of an operation that reads `in_channels` stored channels.
    pub fn of_operation(operation: &Operation, images: usize, in_channels: usize) -> Self {
        let linear = operation.linear();
        let mut geometry = Self {
            from: Tiling::new(images, linear.input()),
            to: Tiling::new(images, linear.output()),
            window: linear.device_window(),
            in_channels: in_channels as u32,
            out_channels: linear.stored_outputs(in_channels) as u32,
        };
        let fitting = |together: u32, halo: u32| together.min((HALO_PIXELS * together / halo).max(1));
        geometry.from = geometry.from.in_tiles_of(fitting(geometry.from.together, geometry.pixels_above()));
        geometry.to = geometry.to.in_tiles_of(fitting(geometry.to.together, geometry.pixels_under_windows()));
        geometry
    }

    /// Of a stage that works pixel by pixel.
    pub fn of_pixels(shape: Shape, images: usize, channels: usize) -> Self {
        let tiling = Tiling::new(images, shape);
        let window = DeviceWindow::of(&Window::same(1, 1, 1));
        Self { from: tiling, to: tiling, window, in_channels: channels as u32, out_channels: channels as u32 }
    }

    /// Stored numbers of an image of the input.
    pub(in crate::ops) const fn input_numbers(&self) -> u64 {
        self.from.height as u64 * self.from.width as u64 * self.in_channels as u64
    }

    /// And of the output.
    pub(in crate::ops) const fn output_numbers(&self) -> u64 {
        self.to.height as u64 * self.to.width as u64 * self.out_channels as u64
    }

    /// Rows and columns of the input under the windows of a tile.
    pub(in crate::ops) fn rows_under_windows(&self) -> u32 {
        self.extent_under(self.to.rows)
    }

    pub(in crate::ops) fn columns_under_windows(&self) -> u32 {
        self.extent_under(self.to.columns)
    }

    /// Pixels of the input under the windows of a tile (`under_windows` of kernels/tile.cuh).
    pub(in crate::ops) fn pixels_under_windows(&self) -> u32 {
        let Tiling { together, rows, columns, .. } = self.to;
        together * self.extent_under(rows) * self.extent_under(columns)
    }

    /// Pixels of the output whose windows hold a tile of the input (`above_pixels` there).
    pub(in crate::ops) fn pixels_above(&self) -> u32 {
        let Tiling { together, rows, columns, .. } = self.from;
        together * self.extent_above(rows) * self.extent_above(columns)
    }

    /// Of the windows that hold a pixel of a tile of the input those inside the map, and pixels of the input under them.
    pub(in crate::ops) fn pixels_of_windows(&self) -> (u32, u32) {
        let Tiling { together, rows, columns, .. } = self.from;
        let down = self.extent_above(rows).min(self.to.height);
        let across = self.extent_above(columns).min(self.to.width);
        (together * down * across, together * self.extent_under(down) * self.extent_under(across))
    }

    /// Whether kernels find rows and columns of all pixels around a tile (`Divisor` of kernels/tile.cuh).
    pub fn is_counted(&self) -> bool {
        let windows = self.extent_above(self.from.columns).min(self.to.width);
        [
            (self.pixels_under_windows(), self.columns_under_windows()),
            (self.pixels_above(), self.extent_above(self.from.columns)),
            (self.pixels_of_windows().1, self.extent_under(windows)),
        ]
        .into_iter()
        .all(|(pixels, columns)| pixels <= 4094 && pixels * columns < 1 << 20)
    }

    /// Input pixels under `outputs` neighbouring windows, along one axis.
    fn extent_under(&self, outputs: u32) -> u32 {
        let window = &self.window;
        let span = if window.diagonal != 0 { 2 } else { (window.kernel - 1) * window.dilation + 1 };
        (outputs - 1) * window.stride + span
    }

    /// Windows that may hold one of `inputs` neighbouring pixels, along one axis.
    fn extent_above(&self, inputs: u32) -> u32 {
        let window = &self.window;
        let span = if window.diagonal != 0 { 1 } else { (window.kernel - 1) * window.dilation };
        let more = if window.stride == 1 { 1 } else { 2 };
        (inputs - 1 + span) / window.stride + more
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::convolution::Convolution;

    #[test]
    fn pixels_around_tiles_are_counted_but_for_large_strided_windows() {
        for (extent, kernel, stride, is_counted) in
            [(32, 5, 1, true), (224, 3, 2, true), (224, 7, 2, true), (256, 13, 4, false)]
        {
            let input = Shape::new(extent, extent, 8);
            let window = Window { kernel, stride, dilation: 1, padding: kernel / 2 };
            let operation =
                Operation::Convolution(Convolution { window, input, output: window.output_shape(input, 8) });
            assert_eq!(Geometry::of_operation(&operation, 2, 8).is_counted(), is_counted, "{operation:?}");
        }
    }

    #[test]
    fn tiles_hold_at_most_128_pixels_and_cover_every_image() {
        for (height, width, images, tiles) in
            [(32, 32, 3, 24), (8, 8, 3, 2), (16, 16, 1, 2), (7, 5, 7, 3), (3, 200, 1, 6)]
        {
            let tiling = Tiling::new(images, Shape::new(height, width, 8));
            assert!(tiling.together * tiling.rows * tiling.columns <= TILE_PIXELS, "{tiling:?}");
            assert_eq!(tiling.tiles, tiles, "{tiling:?}");
        }
    }
}
