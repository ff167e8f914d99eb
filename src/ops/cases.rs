//! What the tests of the operations share: random stages, and the table of their shapes.

use super::Window;
use super::input::{GradientSums, Input, Normalize, NormalizeBackward, OutputGradient, Segment, SegmentGradient};
use super::plain;
use crate::tensor::padded_channels;

/// Numbers that look random: splitmix64, uniform in -1..1.
pub struct Generator(pub u64);

impl Generator {
    pub fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn numbers(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }

    /// `[pixel][stored channel]` with zeros in padding channels.
    pub fn maps(&mut self, pixels: usize, logical: usize, stored: usize) -> Vec<f32> {
        let mut values = self.numbers(pixels * stored);
        for (at, value) in values.iter_mut().enumerate() {
            if at % stored >= logical {
                *value = 0.0;
            }
        }
        values
    }
}

/// One row of the table: a window over an image, input segments (logical channels), output channels.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub window: Window,
    pub size: (usize, usize),
    pub segments: &'static [usize],
    pub outputs: usize,
    pub relu: bool,
    pub images: usize,
}

const fn case(window: Window, size: (usize, usize), segments: &'static [usize], outputs: usize) -> Case {
    Case { window, size, segments, outputs, relu: true, images: 2 }
}

/// Sizes 1x1 to 32x32, odd and even; strides, dilations, kernels 1 to 5; channels with and without padding.
pub const CASES: &[Case] = &[
    case(Window::same(3, 1, 1), (8, 8), &[8], 8),
    case(Window::same(3, 1, 1), (32, 32), &[16], 16),
    case(Window::same(5, 1, 1), (8, 8), &[8], 8),
    case(Window::same(5, 1, 1), (9, 13), &[16], 16),
    case(Window::same(5, 1, 2), (16, 16), &[16], 16),
    case(Window::same(5, 1, 2), (7, 7), &[8], 24),
    case(Window::same(3, 1, 2), (7, 5), &[12], 20),
    case(Window::same(3, 2, 1), (8, 8), &[16], 32),
    case(Window::same(3, 2, 1), (7, 9), &[24], 8),
    case(Window::same(5, 2, 2), (11, 10), &[16], 16),
    case(Window::same(5, 2, 1), (28, 28), &[8], 16),
    case(Window { kernel: 2, stride: 2, dilation: 1, padding: 0 }, (8, 8), &[16], 16),
    case(Window { kernel: 2, stride: 2, dilation: 1, padding: 0 }, (7, 7), &[8], 8),
    case(Window::same(1, 1, 1), (8, 8), &[8, 8], 8),
    case(Window::same(1, 1, 1), (32, 32), &[16, 16], 16),
    case(Window::same(1, 1, 1), (5, 3), &[48], 16),
    case(Window::same(1, 2, 1), (8, 8), &[16], 32),
    case(Window::same(3, 1, 1), (1, 1), &[16], 64),
    case(Window::same(3, 1, 1), (3, 3), &[48], 48),
    case(Window::same(3, 1, 1), (14, 6), &[10, 5], 40),
    case(Window::same(3, 1, 1), (6, 17), &[64], 24),
];

/// A random input with everything a stage reads and writes around it.
pub struct Stage {
    pub case: Case,
    pub values: Vec<Vec<f32>>,
    parameters: Vec<[Vec<f32>; 3]>,
    rstd: Vec<Vec<f32>>,
    pub dz: Vec<f32>,
    pub y: Vec<f32>,
    backward: [Vec<f32>; 5],
    pub generator: Generator,
}

impl Stage {
    pub fn new(case: &Case) -> Self {
        let mut generator = Generator(case.size.0 as u64 * 1000 + case.outputs as u64);
        let pixels = case.images * case.size.0 * case.size.1;
        let (mut values, mut parameters, mut rstd) = (vec![], vec![], vec![]);
        for &logical in case.segments {
            let stored = padded_channels(logical);
            values.push(generator.maps(pixels, logical, stored));
            parameters.push([0; 3].map(|_| generator.maps(1, logical, stored)));
            rstd.push(generator.maps(1, logical, stored).iter().map(|r| r + 1.5).collect::<Vec<f32>>());
        }
        let outputs = padded_channels(case.outputs);
        let out_pixels = case.images * case.window.output_size(case.size.0) * case.window.output_size(case.size.1);
        let dz = generator.maps(out_pixels, case.outputs, outputs);
        let y = generator.maps(out_pixels, case.outputs, outputs);
        let backward = [0; 5].map(|_| generator.maps(1, case.outputs, outputs));
        Self { case: *case, values, parameters, rstd, dz, y, backward, generator }
    }

    /// All images; the first segment is normalized, and every other one.
    pub fn segments(&self) -> Vec<Segment<'_>> {
        self.segments_of(0..self.case.images)
    }

    pub fn segments_of(&self, images: std::ops::Range<usize>) -> Vec<Segment<'_>> {
        let segments = self.values.iter().zip(&self.parameters).enumerate();
        segments
            .map(|(index, (values, [mean, scale, shift]))| {
                let image = values.len() / self.case.images;
                Segment {
                    values: &values[images.start * image..images.end * image],
                    channels: mean.len(),
                    normalize: (index % 2 == 0).then_some(Normalize { mean, scale, shift }),
                }
            })
            .collect()
    }

    pub fn output_gradient(&self) -> OutputGradient<'_> {
        let [mean, rstd, k, m1, m2] = &self.backward;
        OutputGradient { dz: &self.dz, y: &self.y, normalize: Some(NormalizeBackward { mean, rstd, k, m1, m2 }) }
    }

    /// Runs `backward` with plain and with accumulating segment gradients with sums, and compares both with `dx`, the gradient of the normalized input after ReLU.
    pub fn check_segment_gradients(
        &self,
        dx: &plain::Maps,
        mut backward: impl FnMut(&Input, &mut [SegmentGradient]),
        tolerance: f64,
    ) {
        let segments = self.segments();
        let input = Input { segments: &segments, relu: self.case.relu };
        let (before, _) = plain::normalized(&input, self.case.images, self.case.size);
        for accumulate in [false, true] {
            let start = |values: &Vec<f32>| if accumulate { values.clone() } else { vec![f32::NAN; values.len()] };
            let mut targets: Vec<Vec<f32>> = self.values.iter().map(start).collect();
            let mut totals: Vec<[Vec<f64>; 2]> =
                segments.iter().map(|s| [vec![9.0; s.channels], vec![9.0; s.channels]]).collect();
            let mut gradients: Vec<SegmentGradient> = targets
                .iter_mut()
                .zip(&mut totals)
                .enumerate()
                .map(|(s, (dz, [dz_sum, dz_xhat]))| SegmentGradient {
                    dz,
                    accumulate,
                    sums: accumulate.then_some(GradientSums {
                        mean: &self.parameters[s][0],
                        rstd: &self.rstd[s],
                        dz: dz_sum,
                        dz_xhat,
                    }),
                })
                .collect();
            backward(&input, &mut gradients);
            let mut offset = 0;
            for (s, segment) in segments.iter().enumerate() {
                let mut expected = vec![];
                for (image, row, column) in dx.pixels() {
                    for c in 0..segment.channels {
                        let at = dx.index(image, row, column, offset + c);
                        let passes = !self.case.relu || before.values[at] > 0.0;
                        let old = if accumulate { f64::from(self.values[s][expected.len()]) } else { 0.0 };
                        expected.push(old + if passes { dx.values[at] } else { 0.0 });
                    }
                }
                let label = format!("{:?}, segment {s}", self.case);
                assert!(plain::error(&targets[s], &expected) <= tolerance, "gradient of {label}");
                assert_padding_is_zero(&targets[s], self.case.segments[s]);
                if accumulate {
                    let (sum, xhat) = plain::sums(&expected, segment.values, &self.parameters[s][0], &self.rstd[s]);
                    let scale: f64 = expected.iter().map(|v| v.abs()).sum();
                    for (a, b) in totals[s][0].iter().zip(&sum).chain(totals[s][1].iter().zip(&xhat)) {
                        assert!((a - b).abs() <= 1e-6 * scale, "sums of {label}: {a} and {b}");
                    }
                }
                offset += segment.channels;
            }
        }
    }
}

pub fn assert_padding_is_zero(values: &[f32], logical: usize) {
    let stored = padded_channels(logical);
    assert!(values.iter().enumerate().all(|(at, &value)| at % stored < logical || value == 0.0), "padding");
}

/// `[tap][ci][co]` with zeros for padding channels of both sides.
pub fn dense_weights(generator: &mut Generator, taps: usize, segments: &[usize], outputs: usize) -> Vec<f32> {
    let mut weights = vec![];
    for _ in 0..taps {
        for &logical in segments {
            for ci in 0..padded_channels(logical) {
                let row = generator.maps(1, outputs, padded_channels(outputs));
                weights.extend(row.iter().map(|w| if ci < logical { w * 0.3 } else { 0.0 }));
            }
        }
    }
    weights
}

/// `[tap][ci]` likewise.
pub fn depthwise_weights(generator: &mut Generator, taps: usize, segments: &[usize]) -> Vec<f32> {
    let mut weights = vec![];
    for _ in 0..taps {
        for &logical in segments {
            weights.extend(generator.maps(1, logical, padded_channels(logical)));
        }
    }
    weights
}

pub fn to_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Asserts that `moments` are those of `values = [pixel][channel]`.
pub fn check_moments(moments: &super::input::Moments, values: &[f32]) {
    let channels = moments.mean.len();
    let count = (values.len() / channels) as f64;
    assert_eq!(moments.count, count);
    for channel in 0..channels {
        let of_channel = || values[channel..].iter().step_by(channels).map(|&value| f64::from(value));
        let mean = of_channel().sum::<f64>() / count;
        let m2: f64 = of_channel().map(|value| (value - mean).powi(2)).sum();
        assert!((moments.mean[channel] - mean).abs() <= 1e-6 * (m2 / count).sqrt().max(1e-12));
        assert!((moments.m2[channel] - m2).abs() <= 1e-6 * m2.max(1e-12));
    }
}
