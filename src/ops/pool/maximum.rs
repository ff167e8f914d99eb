//! The largest tap of each window and where it is.

use crate::simd::{Kernel, Simd};

/// Windows of a bordered image (border minus infinity), row by row, channel by channel.
pub(crate) struct Windows<'a> {
    pub input: &'a [f32],
    /// Offset of each tap from a pixel's place in `input`.
    pub taps: &'a [usize],
    pub channels: usize,
    pub input_step: usize,
    pub input_row: usize,
    pub output: &'a mut [f32],
    /// Distances of pixels and rows in `output`.
    pub output_step: usize,
    pub output_row: usize,
    pub rows: usize,
    pub pixels: usize,
}

/// Where any of the taps is not a number; one comparison looks at two taps.
///
/// # Safety
/// A vector is readable at every tap from `x`.
#[inline(always)]
unsafe fn invalid<S: Simd>(simd: S, x: *const f32, taps: &[usize]) -> S::Mask {
    let mut invalid = simd.unordered(simd.zero(), simd.zero());
    for pair in 0..taps.len().div_ceil(2) {
        let (a, b) = (taps[2 * pair], taps[(2 * pair + 1).min(taps.len() - 1)]);
        // SAFETY: the caller's.
        let pair = unsafe { simd.unordered(simd.load(x.add(a)), simd.load(x.add(b))) };
        invalid = simd.or(invalid, pair);
    }
    invalid
}

/// What is computed of a window. A trait, not a closure: what is not inlined into the kernel is compiled without its instructions.
trait Reduction {
    /// # Safety
    /// A vector is readable at every tap from `x`.
    unsafe fn of<S: Simd>(simd: S, x: *const f32, taps: &[usize]) -> S::Vector;
}

struct Largest;

impl Reduction for Largest {
    #[inline(always)]
    unsafe fn of<S: Simd>(simd: S, x: *const f32, taps: &[usize]) -> S::Vector {
        let mut largest = simd.splat(f32::NEG_INFINITY);
        for &tap in taps {
            // SAFETY: the caller's.
            let value = unsafe { simd.load(x.add(tap)) };
            largest = simd.max(value, largest);
        }
        // SAFETY: the caller's.
        let invalid = unsafe { invalid(simd, x, taps) };
        simd.select(invalid, simd.splat(f32::NAN), largest)
    }
}

struct Position;

impl Reduction for Position {
    #[inline(always)]
    unsafe fn of<S: Simd>(simd: S, x: *const f32, taps: &[usize]) -> S::Vector {
        let mut largest = simd.splat(f32::NEG_INFINITY);
        let mut position = simd.zero();
        for (index, &tap) in taps.iter().enumerate() {
            // SAFETY: the caller's.
            let value = unsafe { simd.load(x.add(tap)) };
            position = simd.select(simd.greater(value, largest), simd.splat(index as f32), position);
            largest = simd.max(value, largest);
        }
        // SAFETY: the caller's.
        if simd.any(unsafe { invalid(simd, x, taps) }) {
            for (index, &tap) in taps.iter().enumerate() {
                // SAFETY: the caller's.
                let value = unsafe { simd.load(x.add(tap)) };
                position = simd.select(simd.unordered(value, value), simd.splat(index as f32), position);
            }
        }
        position
    }
}

impl Windows<'_> {
    /// Reduces every window; 3x3 windows are unrolled.
    #[inline(always)]
    fn each<S: Simd, R: Reduction>(self, simd: S) {
        let taps = self.taps;
        match <&[usize; 9]>::try_from(taps) {
            Ok(nine) => self.each_of::<S, R, _>(simd, nine),
            Err(_) => self.each_of::<S, R, _>(simd, taps),
        }
    }

    #[inline(always)]
    fn each_of<S: Simd, R: Reduction, T: AsRef<[usize]> + ?Sized>(self, simd: S, taps: &T) {
        let Self { rows, pixels, channels, input_step, input_row, output_row, output_step, .. } = self;
        if rows == 0 || pixels == 0 {
            return;
        }
        let last_tap = self.taps.iter().max().copied().unwrap_or(0);
        assert!(self.input.len() >= (rows - 1) * input_row + (pixels - 1) * input_step + last_tap + channels);
        assert!(self.output.len() >= (rows - 1) * output_row + (pixels - 1) * output_step + channels);
        for row in 0..rows {
            for pixel in 0..pixels {
                for channel in (0..channels).step_by(S::LANES) {
                    // SAFETY: asserted for the last tap of the last pixel of the last row.
                    unsafe {
                        let x = self.input.as_ptr().add(row * input_row + pixel * input_step + channel);
                        let to = self.output.as_mut_ptr().add(row * output_row + pixel * output_step + channel);
                        simd.store(to, R::of(simd, x, taps.as_ref()));
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn run<S: Simd, R: Reduction>(self, simd: S) {
        assert!(self.channels.is_multiple_of(8));
        if self.channels.is_multiple_of(S::LANES) {
            self.each::<S, R>(simd);
        } else {
            self.each::<S::Narrow, R>(simd.narrow());
        }
    }
}

/// Writes each window's largest tap; NaN where one is NaN.
pub(crate) struct Values<'a>(pub Windows<'a>);

/// Writes the number of each window's largest tap: the first in row-major order of equal ones; the last NaN if there is one.
pub(crate) struct Positions<'a>(pub Windows<'a>);

impl Kernel for Values<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.0.run::<S, Largest>(simd);
    }
}

impl Kernel for Positions<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        self.0.run::<S, Position>(simd);
    }
}

/// Gathers the gradient of a max pool: input pixel `q` takes `dy` of every window whose largest tap it is, windows in row-major order.
///
/// Reads bordered, spread images of positions (border -1) and of `dy`, from which tap `t` of the flipped window reaches the window that sees `q` as its tap
/// `taps - 1 - t`.
pub(crate) struct Gather<'a> {
    pub positions: &'a [f32],
    pub dy: &'a [f32],
    pub taps: &'a [usize],
    pub channels: usize,
    pub row: usize,
    /// `[row][pixel][channel]`, contiguous.
    pub output: &'a mut [f32],
    pub rows: usize,
    pub pixels: usize,
}

impl Gather<'_> {
    #[inline(always)]
    fn body<S: Simd>(self, simd: S) {
        let taps = self.taps;
        match <&[usize; 9]>::try_from(taps) {
            Ok(nine) => self.body_of(simd, nine),
            Err(_) => self.body_of(simd, taps),
        }
    }

    #[inline(always)]
    fn body_of<S: Simd, T: AsRef<[usize]> + ?Sized>(self, simd: S, taps: &T) {
        let taps = taps.as_ref();
        let Self { rows, pixels, channels, row: pitch, .. } = self;
        if rows == 0 || pixels == 0 {
            return;
        }
        let last_tap = self.taps.iter().max().copied().unwrap_or(0);
        let last = (rows - 1) * pitch + pixels * channels + last_tap;
        assert!(self.positions.len() >= last && self.dy.len() >= last);
        assert!(self.output.len() >= rows * pixels * channels);
        for row in 0..rows {
            for pixel in 0..pixels {
                for channel in (0..channels).step_by(S::LANES) {
                    // SAFETY: asserted for the last tap of the last pixel of the last row.
                    unsafe {
                        let at = row * pitch + pixel * channels + channel;
                        let mut sum = simd.zero();
                        for (flipped, &tap) in taps.iter().enumerate() {
                            let position = simd.load(self.positions.as_ptr().add(at + tap));
                            let dy = simd.load(self.dy.as_ptr().add(at + tap));
                            let own = simd.equal(position, simd.splat((taps.len() - 1 - flipped) as f32));
                            sum = simd.add(sum, simd.select(own, dy, simd.zero()));
                        }
                        simd.store(self.output.as_mut_ptr().add((row * pixels + pixel) * channels + channel), sum);
                    }
                }
            }
        }
    }
}

impl Kernel for Gather<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if self.channels.is_multiple_of(S::LANES) { self.body(simd) } else { self.body(simd.narrow()) }
    }
}
