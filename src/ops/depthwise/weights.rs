//! `gradient[tap][c] += sum over pixels of input[pixel + tap][c] * dh[pixel][c]`.

use crate::simd::{Kernel, Simd};

pub(crate) struct FilterWeights<'a> {
    pub input: &'a [f32],
    /// Offset of each tap from a pixel's place in `input`.
    pub taps: &'a [usize],
    pub channels: usize,
    /// Distance of neighbouring output pixels' places in `input`, in numbers; likewise of rows.
    pub input_step: usize,
    pub input_row: usize,
    pub dh: &'a [f32],
    pub dh_step: usize,
    pub dh_row: usize,
    pub rows: usize,
    pub pixels: usize,
    /// `[tap][c]`, added to.
    pub gradient: &'a mut [f32],
}

impl FilterWeights<'_> {
    #[inline(always)]
    fn body<S: Simd>(mut self, simd: S) {
        for channel in (0..self.channels).step_by(S::LANES) {
            let mut tap = 0;
            while tap < self.taps.len() {
                tap += match self.taps.len() - tap {
                    25 if S::REGISTERS == 32 => self.block::<S, 25>(simd, tap, channel),
                    9 => self.block::<S, 9>(simd, tap, channel),
                    5.. => self.block::<S, 5>(simd, tap, channel),
                    _ => self.block::<S, 1>(simd, tap, channel),
                };
            }
        }
    }

    /// One register a tap, for `T` taps from `tap`; returns `T`.
    #[inline(always)]
    fn block<S: Simd, const T: usize>(&mut self, simd: S, tap: usize, channel: usize) -> usize {
        let Self { channels, pixels, input_step, dh_step, .. } = *self;
        let mut offsets = [0; T];
        offsets.copy_from_slice(&self.taps[tap..tap + T]);
        // SAFETY: `run` asserted that the last pixel of the last row lies in `input` (with the last tap) and in `dh`, and that `gradient` holds every tap.
        unsafe {
            let mut sums = [simd.zero(); T];
            for row in 0..self.rows {
                let x = self.input.as_ptr().add(row * self.input_row + channel);
                let dh = self.dh.as_ptr().add(row * self.dh_row + channel);
                for pixel in 0..pixels {
                    let value = simd.load(dh.add(pixel * dh_step));
                    for (sum, &offset) in sums.iter_mut().zip(&offsets) {
                        *sum = simd.fma(simd.load(x.add(pixel * input_step + offset)), value, *sum);
                    }
                }
            }
            for (t, &sum) in sums.iter().enumerate() {
                let at = self.gradient.as_mut_ptr().add((tap + t) * channels + channel);
                simd.store(at, simd.add(simd.load(at), sum));
            }
        }
        T
    }
}

impl Kernel for FilterWeights<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { rows, pixels, channels, .. } = self;
        if rows == 0 || pixels == 0 {
            return;
        }
        let last_tap = self.taps.iter().max().copied().unwrap_or(0);
        assert!(self.input.len() >= (rows - 1) * self.input_row + (pixels - 1) * self.input_step + last_tap + channels);
        assert!(self.dh.len() >= (rows - 1) * self.dh_row + (pixels - 1) * self.dh_step + channels);
        assert!(self.gradient.len() >= self.taps.len() * channels);
        assert!(channels.is_multiple_of(8));
        if channels.is_multiple_of(S::LANES) { self.body(simd) } else { self.body(simd.narrow()) }
    }
}
