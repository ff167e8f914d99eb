//! What a stage reads: values with their normalizations, and the gradients that its backward pass leaves them.

use super::{record_maps, unwritten};
use crate::case::{Case, Normalization};
use crate::channels::Channels;
use crate::found::Found;
use crate::given::Given;
use crosstalk::network::Segments;
use crosstalk::ops::input::{GradientSums, Input, Moments, Normalize, Segment, SegmentGradient};
use crosstalk::ops::pool::{self, Pool, PoolKind};
use crosstalk::ops::{Images, Window};
use crosstalk::simd::{Level, Scratch};
use crosstalk::tensor::Shape;
use std::ops::Range;

/// A value as it is stored, and what its readers need to normalize it.
pub struct Stored {
    pub shape: Shape,
    pub channels: Channels,
    pub values: Vec<f32>,
    pub normalization: Option<Parameters>,
}

/// Of a normalization; per stored channel, zero in padding.
pub struct Parameters {
    pub mean: Vec<f32>,
    pub rstd: Vec<f32>,
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
}

impl Parameters {
    pub fn new(moments: &Moments, epsilon: f64, channels: &Channels, affine: Option<&[Vec<f32>; 2]>) -> Self {
        let zeros = || vec![0.0; channels.stored];
        let mut new = Self { mean: zeros(), rstd: zeros(), scale: zeros(), shift: zeros() };
        for (channel, &at) in channels.positions.iter().enumerate() {
            let rstd = 1.0 / (moments.m2[at] / moments.count + epsilon).sqrt();
            let [gamma, beta] = affine.map_or([1.0, 0.0], |affine| affine.each_ref().map(|values| values[channel]));
            new.mean[at] = moments.mean[at] as f32;
            new.rstd[at] = rstd as f32;
            new.scale[at] = (f64::from(gamma) * rstd) as f32;
            new.shift[at] = beta;
        }
        new
    }
}

impl Stored {
    /// Numbers of one image.
    fn image(&self) -> usize {
        self.shape.pixels() * self.channels.stored
    }

    pub fn segment(&self, images: Range<usize>) -> Segment<'_> {
        let normalize = self.normalization.as_ref();
        let normalize = normalize.map(|Parameters { mean, scale, shift, .. }| Normalize { mean, scale, shift });
        let values = &self.values[images.start * self.image()..images.end * self.image()];
        Segment { values, channels: self.channels.stored, normalize }
    }
}

/// A value's gradient, and what its producer's normalization wants of it.
struct Gradient {
    values: Vec<f32>,
    sum: Vec<f64>,
    sum_xhat: Vec<f64>,
}

impl Gradient {
    /// Asserts that the sums are those of the finished gradient of `values`, up to the rounding of their terms.
    fn assert_sums(&self, values: &[f32], parameters: &Parameters, case: &Case) {
        let channels = self.sum.len();
        for channel in 0..channels {
            let of =
                |values: &[f32]| values[channel..].iter().step_by(channels).map(|v| f64::from(*v)).collect::<Vec<_>>();
            let (mean, rstd) = (f64::from(parameters.mean[channel]), f64::from(parameters.rstd[channel]));
            let xhat = of(values).into_iter().map(|y| (y - mean) * rstd);
            let gradient = of(&self.values);
            let products: Vec<f64> = gradient.iter().zip(xhat).map(|(dz, xhat)| dz * xhat).collect();
            for (name, found, terms) in
                [("dz", self.sum[channel], gradient), ("dz * xhat", self.sum_xhat[channel], products)]
            {
                let (expected, scale) = (terms.iter().sum::<f64>(), terms.iter().map(|term| term.abs()).sum::<f64>());
                assert!((found - expected).abs() <= 1e-6 * scale, "{case}: sum {name} is {found}, not {expected}");
            }
        }
    }
}

/// All inputs of a stage.
pub struct Inputs<'a> {
    case: &'a Case,
    pub stored: Vec<Stored>,
    moments: Vec<Option<Moments>>,
    gradients: Vec<Gradient>,
}

impl<'a> Inputs<'a> {
    pub fn new(level: Level, given: &'a Given) -> Self {
        let case = given.case;
        let (mut stored, mut moments) = (Vec::new(), Vec::new());
        for (index, segment) in case.segments.iter().enumerate() {
            let shape = Shape { channels: segment.channels, ..case.input() };
            let channels = match case.image {
                true => Channels::padded(&case.stored_input()),
                false => Channels::padded(&Segments::features(vec![shape.channels])),
            };
            let values = given.maps(&format!("input.{index}"), &channels);
            let mut value = Stored { shape, channels, values, normalization: None };
            let measured =
                (segment.normalization != Normalization::None).then(|| moments_of(level, case.batch, &value));
            if let Some(measured) = &measured {
                let affine = ["gamma", "beta"].map(|name| format!("input_{name}.{index}"));
                let affine = (segment.normalization == Normalization::Affine)
                    .then(|| affine.map(|name| given.vector::<f32>(&name)));
                value.normalization = Some(Parameters::new(measured, case.epsilon, &value.channels, affine.as_ref()));
            }
            stored.push(value);
            moments.push(measured);
        }
        let gradient = |value: &Stored| Gradient {
            values: unwritten(value.values.len()),
            sum: vec![f64::NAN; value.channels.stored],
            sum_xhat: vec![f64::NAN; value.channels.stored],
        };
        Self { case, gradients: stored.iter().map(gradient).collect(), stored, moments }
    }

    pub fn segments(stored: &[Stored], images: Range<usize>) -> Vec<Segment<'_>> {
        stored.iter().map(|value| value.segment(images.clone())).collect()
    }

    /// Hands the stage's input and the places of its gradients to a backward pass.
    pub fn backward(&mut self, accumulate: bool, run: impl FnOnce(&Input, Vec<SegmentGradient>)) {
        let segments = Self::segments(&self.stored, 0..self.case.batch);
        let input = Input { segments: &segments, relu: self.case.relu };
        let targets = (self.gradients.iter_mut().zip(&self.stored))
            .map(|(gradient, value)| {
                if accumulate {
                    gradient.values.copy_from_slice(&value.values);
                }
                let sums = value.normalization.as_ref().map(|Parameters { mean, rstd, .. }| GradientSums {
                    mean,
                    rstd,
                    dz: &mut gradient.sum,
                    dz_xhat: &mut gradient.sum_xhat,
                });
                SegmentGradient { dz: &mut gradient.values, accumulate, sums }
            })
            .collect();
        run(&input, targets);
    }

    pub fn record(&self, found: &mut Found) {
        for (index, (value, gradient)) in self.stored.iter().zip(&self.gradients).enumerate() {
            if let Some(moments) = &self.moments[index] {
                let names = ["mean", "variance"].map(|name| format!("input_{name}.{index}"));
                record_moments(moments, &value.channels, names, found);
            }
            if let Some(parameters) = &value.normalization {
                gradient.assert_sums(&value.values, parameters, self.case);
            }
            if !self.case.image {
                let name = format!("input_gradient.{index}");
                record_maps(found, &name, self.case, value.shape, &value.channels, &gradient.values);
            }
        }
    }
}

/// A pool of single pixels copies its input and leaves its statistics.
fn moments_of(level: Level, images: usize, value: &Stored) -> Moments {
    let copy = Pool { kind: PoolKind::Max, window: Window::same(1, 1, 1), input: value.shape, output: value.shape };
    let (mut output, mut moments) = (unwritten(value.values.len()), Moments::new(value.channels.stored));
    let input = Input { segments: &[value.segment(0..images)], relu: false };
    let images = Images { level, input: &input, count: images, scratch: &mut Scratch::default() };
    pool::cpu::forward(&copy, images, &mut output, Some(&mut moments));
    assert_eq!(output, value.values);
    moments
}

pub fn record_moments(moments: &Moments, channels: &Channels, [mean, variance]: [String; 2], found: &mut Found) {
    found.vector(mean, channels, &moments.mean);
    let variances: Vec<f64> = moments.m2.iter().map(|m2| m2 / moments.count).collect();
    found.vector(variance, channels, &variances);
}
