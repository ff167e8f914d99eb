//! Feature maps by tiles of 2x2 pixels of the output: `V = B^T d B` of the 4x4 input pixels under a tile, `Y = A^T M A` of its products, and for gradients
//! `A dy A^T`.
//!
//! Points are `[point][tile][channel]`; a point's matrix starts `distance` numbers after that of the one before.

use crate::simd::{Kernel, Simd};

/// The points of one row of tiles, of their input pixels.
pub struct InputTiles<'a> {
    /// From the upper left pixel under the first tile on.
    pub input: &'a [f32],
    pub row: usize,
    pub channels: usize,
    pub tiles: usize,
    /// From the first tile's place in the first point's matrix on.
    pub points: &'a mut [f32],
    pub distance: usize,
}

/// The points of one row of tiles, of their output gradient.
pub struct GradientTiles<'a> {
    /// From the upper left pixel of the first tile on.
    pub gradient: &'a [f32],
    pub row: usize,
    pub channels: usize,
    pub tiles: usize,
    pub points: &'a mut [f32],
    pub distance: usize,
}

/// The pixels of rows of tiles, of their products.
pub struct OutputTiles<'a> {
    pub points: &'a [f32],
    pub distance: usize,
    pub channels: usize,
    /// In a row.
    pub tiles: usize,
    pub rows: usize,
    /// `[row][pixel][channel]`, two rows of pixels for each of tiles.
    pub output: &'a mut [f32],
}

/// Vectors `distance` numbers apart.
///
/// # Safety
/// All are readable.
#[inline(always)]
pub unsafe fn load_column<S: Simd, const N: usize>(simd: S, from: *const f32, distance: usize) -> [S::Vector; N] {
    let mut column = [simd.zero(); N];
    for (y, value) in column.iter_mut().enumerate() {
        // SAFETY: the caller's.
        *value = unsafe { simd.load(from.add(y * distance)) };
    }
    column
}

/// Stores one row of four points.
///
/// # Safety
/// The last of the four is writable.
#[inline(always)]
unsafe fn store_row<S: Simd>(simd: S, to: *mut f32, distance: usize, values: [S::Vector; 4]) {
    for (x, &value) in values.iter().enumerate() {
        // SAFETY: the caller's.
        unsafe { simd.store(to.add(x * distance), value) };
    }
}

/// `B^T d` of the four pixels from `from` down.
///
/// # Safety
/// They are readable.
#[inline(always)]
unsafe fn input_column<S: Simd>(simd: S, from: *const f32, row: usize) -> [S::Vector; 4] {
    // SAFETY: the caller's.
    let [a, b, c, d] = unsafe { load_column(simd, from, row) };
    [simd.sub(a, c), simd.add(b, c), simd.sub(c, b), simd.sub(b, d)]
}

impl InputTiles<'_> {
    #[inline(always)]
    fn body<S: Simd>(self, simd: S) {
        let Self { row, channels, tiles, distance, .. } = self;
        for channel in (0..channels).step_by(S::LANES) {
            // SAFETY: `run` asserted that the last pixel under the last tile and the last point of the last tile lie in the slices.
            unsafe {
                let from = self.input.as_ptr().add(channel);
                // Neighbouring tiles share two columns.
                let (mut first, mut second) =
                    (input_column(simd, from, row), input_column(simd, from.add(channels), row));
                for tile in 0..tiles {
                    let next = from.add((2 * tile + 2) * channels);
                    let (third, fourth) = (input_column(simd, next, row), input_column(simd, next.add(channels), row));
                    let to = self.points.as_mut_ptr().add(tile * channels + channel);
                    for y in 0..4 {
                        let values = [
                            simd.sub(first[y], third[y]),
                            simd.add(second[y], third[y]),
                            simd.sub(third[y], second[y]),
                            simd.sub(second[y], fourth[y]),
                        ];
                        store_row(simd, to.add(4 * y * distance), distance, values);
                    }
                    (first, second) = (third, fourth);
                }
            }
        }
    }
}

impl Kernel for InputTiles<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { channels, tiles, .. } = self;
        assert!(tiles > 0 && channels.is_multiple_of(8));
        assert!(self.input.len() >= 3 * self.row + (2 * tiles + 2) * channels);
        assert!(self.points.len() >= 15 * self.distance + tiles * channels);
        if channels.is_multiple_of(S::LANES) { self.body(simd) } else { self.body(simd.narrow()) }
    }
}

/// `A y` of one column or row of two pixels.
#[inline(always)]
fn four<S: Simd>(simd: S, [a, b]: [S::Vector; 2]) -> [S::Vector; 4] {
    [a, simd.add(a, b), simd.sub(a, b), simd.sub(simd.zero(), b)]
}

impl GradientTiles<'_> {
    #[inline(always)]
    fn body<S: Simd>(self, simd: S) {
        let Self { row, channels, tiles, distance, .. } = self;
        for channel in (0..channels).step_by(S::LANES) {
            for tile in 0..tiles {
                // SAFETY: `run` asserted that the last pixel and the last point of the last tile lie in the slices.
                unsafe {
                    let from = self.gradient.as_ptr().add(2 * tile * channels + channel);
                    let left = four(simd, load_column(simd, from, row));
                    let right = four(simd, load_column(simd, from.add(channels), row));
                    let to = self.points.as_mut_ptr().add(tile * channels + channel);
                    for y in 0..4 {
                        store_row(simd, to.add(4 * y * distance), distance, four(simd, [left[y], right[y]]));
                    }
                }
            }
        }
    }
}

impl Kernel for GradientTiles<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { channels, tiles, .. } = self;
        assert!(tiles > 0 && channels.is_multiple_of(8));
        assert!(self.gradient.len() >= self.row + 2 * tiles * channels);
        assert!(self.points.len() >= 15 * self.distance + tiles * channels);
        if channels.is_multiple_of(S::LANES) { self.body(simd) } else { self.body(simd.narrow()) }
    }
}

/// `A^T m` of one column or row of four points.
#[inline(always)]
fn two<S: Simd>(simd: S, [a, b, c, d]: [S::Vector; 4]) -> [S::Vector; 2] {
    [simd.add(simd.add(a, b), c), simd.sub(simd.sub(b, c), d)]
}

impl OutputTiles<'_> {
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "a row goes across all columns")]
    fn body<S: Simd>(self, simd: S) {
        let Self { distance, channels, tiles, rows, .. } = self;
        for channel in (0..channels).step_by(S::LANES) {
            for row in 0..rows {
                for tile in 0..tiles {
                    // SAFETY: `run` asserted that the last point and the last pixel of the last tile lie in the slices.
                    unsafe {
                        let from = self.points.as_ptr().add((row * tiles + tile) * channels + channel);
                        let mut columns = [[simd.zero(); 2]; 4];
                        for (x, column) in columns.iter_mut().enumerate() {
                            *column = two(simd, load_column(simd, from.add(x * distance), 4 * distance));
                        }
                        let to = self.output.as_mut_ptr().add((4 * row * tiles + 2 * tile) * channels + channel);
                        for y in 0..2 {
                            let [left, right] = two(simd, [columns[0][y], columns[1][y], columns[2][y], columns[3][y]]);
                            simd.store(to.add(2 * y * tiles * channels), left);
                            simd.store(to.add((2 * y * tiles + 1) * channels), right);
                        }
                    }
                }
            }
        }
    }
}

impl Kernel for OutputTiles<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { channels, tiles, rows, .. } = self;
        assert!(channels.is_multiple_of(8));
        assert!(self.points.len() >= 15 * self.distance + rows * tiles * channels);
        assert!(self.output.len() >= 4 * rows * tiles * channels);
        if channels.is_multiple_of(S::LANES) { self.body(simd) } else { self.body(simd.narrow()) }
    }
}
