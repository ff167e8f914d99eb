//! The head on the CPU. A few thousand multiplications an image: written for reading, pooled with the stages' prologue and epilogue.
//!
//! A feature is a stored channel of the concatenated input, padding included: `weights = [class][feature]`, padding columns zero.

use crate::ops::input::{Epilogue, Input, Padded, SegmentGradient, clear_sums, fill, strip_rows, strips};
use crate::simd::{Level, Scratch};

/// The head's shape: the size of the feature maps that it pools, and the number of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head {
    pub height: usize,
    pub width: usize,
    pub classes: usize,
}

/// What the forward pass leaves; one entry per image.
#[derive(Debug)]
pub struct Outputs<'a> {
    /// `[image][feature]`, read again by `backward`.
    pub features: &'a mut [f32],
    /// `[image][class]`, read again by `backward`.
    pub logits: &'a mut [f32],
    /// Cross-entropy of each image.
    pub losses: &'a mut [f32],
    /// The first class with the largest logit.
    pub predictions: &'a mut [u32],
}

/// Classifies `images` images.
///
/// # Panics
/// If a slice is shorter than its shape says, or a label is no class.
#[allow(clippy::too_many_arguments)]
pub fn forward(
    level: Level,
    head: &Head,
    input: &Input,
    images: usize,
    weights: &[f32],
    bias: &[f32],
    labels: &[u32],
    outputs: &mut Outputs,
    scratch: &mut Scratch,
) {
    let Head { height, width, classes } = *head;
    let count = input.channels();
    let strip_size = Padded::new((strip_rows(width), width), count, 0);
    let [strip_values, strip_sums] = scratch.split([strip_size.len(1), count]);
    for image in 0..images {
        let features = &mut outputs.features[image * count..][..count];
        features.fill(0.0);
        for strip in strips(height, width) {
            let pixels = strip.len() * width;
            fill(level, input, image, strip, (height, width), strip_values, &strip_size);
            strip_sums.fill(0.0);
            for pixel in strip_values.chunks_exact(count).take(pixels) {
                strip_sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
            }
            features.iter_mut().zip(&*strip_sums).for_each(|(sum, value)| *sum += value);
        }
        features.iter_mut().for_each(|feature| *feature /= (height * width) as f32);
        let logits = &mut outputs.logits[image * classes..][..classes];
        for (class, logit) in logits.iter_mut().enumerate() {
            let row = &weights[class * count..][..count];
            *logit = bias[class] + row.iter().zip(&*features).map(|(weight, feature)| weight * feature).sum::<f32>();
        }
        let (prediction, largest, log_sum) = softmax_parts(logits);
        outputs.predictions[image] = prediction;
        outputs.losses[image] = (log_sum - f64::from(logits[labels[image] as usize] - largest)) as f32;
    }
}

/// First class with the largest logit, that logit, and the logarithm of `sum exp(logit - largest)`. A NaN makes the last one NaN.
fn softmax_parts(logits: &[f32]) -> (u32, f32, f64) {
    let mut first = 0;
    for (class, logit) in logits.iter().enumerate() {
        if *logit > logits[first] {
            first = class;
        }
    }
    let largest = logits[first];
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
    (first as u32, largest, sum.ln())
}

/// The classifier's gradients of one chunk, laid out like the weights and the bias, overwritten.
#[derive(Debug)]
pub struct ClassifierGradients<'a> {
    pub weights: &'a mut [f32],
    pub bias: &'a mut [f32],
}

/// Gradients of `scale * sum of the losses` of `images` images (`scale` = 1 / images of the lane), from what `forward` left in `outputs`.
///
/// # Panics
/// If a slice is shorter than its shape says, or a label is no class.
#[allow(clippy::too_many_arguments)]
pub fn backward(
    level: Level,
    head: &Head,
    input: &Input,
    images: usize,
    weights: &[f32],
    labels: &[u32],
    outputs: &Outputs,
    scale: f32,
    segment_gradients: &mut [SegmentGradient],
    gradients: ClassifierGradients,
    scratch: &mut Scratch,
) {
    let Head { height, width, classes } = *head;
    let count = input.channels();
    let [dlogits, dfeatures, du] = scratch.split([classes, count, strip_rows(width) * width * count]);
    gradients.weights.fill(0.0);
    gradients.bias.fill(0.0);
    clear_sums(segment_gradients);
    let mut epilogue = Epilogue { input, gradients: segment_gradients };
    for (image, &label) in labels[..images].iter().enumerate() {
        let features = &outputs.features[image * count..][..count];
        let logits = &outputs.logits[image * classes..][..classes];
        let (_, largest, log_sum) = softmax_parts(logits);
        dfeatures.fill(0.0);
        for class in 0..classes {
            let probability = (f64::from(logits[class] - largest) - log_sum).exp();
            let target = if label as usize == class { 1.0 } else { 0.0 };
            dlogits[class] = ((probability - target) * f64::from(scale)) as f32;
        }
        for (class, &dlogit) in dlogits.iter().enumerate() {
            gradients.bias[class] += dlogit;
            let row = class * count..(class + 1) * count;
            for (total, feature) in gradients.weights[row.clone()].iter_mut().zip(features) {
                *total += dlogit * feature;
            }
            for (dfeature, weight) in dfeatures.iter_mut().zip(&weights[row]) {
                *dfeature += dlogit * weight;
            }
        }
        dfeatures.iter_mut().for_each(|dfeature| *dfeature /= (height * width) as f32);
        du.chunks_exact_mut(count).for_each(|pixel| pixel.copy_from_slice(dfeatures));
        for strip in strips(height, width) {
            epilogue.write(level, du, (image * height + strip.start) * width, strip.len() * width);
        }
    }
}
