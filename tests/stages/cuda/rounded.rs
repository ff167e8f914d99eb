//! Stages in bf16, kernel by kernel: each is judged by what it read, so that no rounding of an operand can fall on the other side. Operands of
//! products are rounded as the kernels round them, from the same f32 formulas; the products themselves are the reference's, in f64.

use super::On;
use super::device_stage::DeviceStage;
use crate::case::{self, Kind};
use crate::found::Found;
use crate::given::Given;
use crosstalk::ops::cuda::Storage;
use crosstalk::ops::{Convolution, DepthwiseSeparable, Linear, Operation, Window, convolution, depthwise};
use crosstalk::tensor::Shape;
use half::bf16;

/// A sum in f32 may differ by this part of the sum of its terms' magnitudes.
const SUM: f64 = 1e-5;
/// Half a unit in the last place of bf16 is at most this part of a number.
const HALF_UNIT: f64 = 1.0 / 256.0;

/// Runs all linear operations in bf16.
pub fn check_in_bf16(on: On) {
    let mut worst = 0.0_f64;
    for case in case::table().iter().filter(|case| matches!(case.operation, Kind::Linear(_)) && on.takes(case)) {
        let given = Given::drawn(case);
        for accumulate in [false, true] {
            let device = on.device(accumulate.into());
            let mut stage = DeviceStage::new(&device, Storage::Bf16, &given, accumulate);
            stage.run();
            let mut found = Found::default();
            stage.record(&mut found);
            worst = worst.max(judge(&given, &stage, &found, accumulate));
        }
    }
    println!("bf16: largest error {worst:.2} of what is allowed");
}

fn rounded(values: impl IntoIterator<Item = f32>) -> Vec<f64> {
    values.into_iter().map(|value| bf16::from_f32(value).to_f64()).collect()
}

fn magnitudes(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| value.abs()).collect()
}

/// Numbers with the sums of their terms' magnitudes.
struct Sums {
    values: Vec<f64>,
    magnitudes: Vec<f64>,
}

impl Sums {
    /// Asserts that f32 sums, rounded to bf16 or not, are these; the largest part of the allowed error.
    fn assert_close(&self, label: &str, found: &[f64], is_rounded: bool) -> f64 {
        assert_eq!(found.len(), self.values.len(), "{label}");
        let mut worst = 0.0_f64;
        for (index, ((found, expected), magnitude)) in found.iter().zip(&self.values).zip(&self.magnitudes).enumerate()
        {
            let sum = SUM * magnitude;
            let allowed = if is_rounded { sum + HALF_UNIT * (expected.abs() + sum) } else { sum };
            let error = (found - expected).abs();
            assert!(error <= allowed, "{label}, number {index}: {found}, not {expected}; {allowed:e} is allowed");
            worst = worst.max(if error == 0.0 { 0.0 } else { error / allowed });
        }
        worst
    }
}

/// Compares everything that a stage left; the largest part of the allowed error.
fn judge(given: &Given, stage: &DeviceStage, found: &Found, accumulate: bool) -> f64 {
    let case = given.case;
    let operation = case.linear().expect("an operation");
    let label = |name: &str| format!("{case}, accumulating {accumulate}, {name}");
    let normalized = stage.normalized_input();
    let a = rounded(normalized.iter().map(|z| if case.relu && *z <= 0.0 { 0.0 } else { *z }));
    let dy = stage.raw_output_gradient();
    let output: Vec<f64> = stage.output().into_iter().map(f64::from).collect();
    let weights: Vec<Vec<f32>> = case.weights().iter().map(|(name, _)| given.vector(name)).collect();
    let products = match &operation {
        Operation::DepthwiseSeparable(op) => {
            let h = filtered(op, &a, &weights[0]);
            let between = Shape { channels: op.input.channels, ..op.output };
            let pointwise = Convolution { window: Window::same(1, 1, 1), input: between, output: op.output };
            let pointwise = Products::of(&pointwise, &h, &[rounded(weights[1].clone())], &rounded(dy));
            let dh: Vec<f64> = stage.scratch().into_iter().map(f64::from).collect();
            pointwise.dx.assert_close(&label("dh"), &dh, true);
            let (dx, dv) = filter_gradients(op, &a, &weights[0], &dh);
            let [dw] = pointwise.dw.try_into().map_err(drop).expect("one weight");
            Products { y: pointwise.y, dx, dw: vec![dv, dw] }
        }
        _ => {
            // Operands of products are rounded; other kernels take weights and gradients in f32.
            let multiplies = stage.kernels().forward.flops.others == 0;
            let operand = |values: Vec<f32>| match multiplies {
                true => rounded(values),
                false => values.into_iter().map(f64::from).collect(),
            };
            let weights: Vec<Vec<f64>> = weights.into_iter().map(operand).collect();
            Products::of(operation.linear(), &a, &weights, &operand(dy))
        }
    };
    let mut worst = products.y.assert_close(&label("output"), &output, true);
    for (index, dw) in products.dw.iter().enumerate() {
        let name = format!("weight_gradient.{index}");
        let found: Vec<f64> = found.0[&name].values.iter_f64().collect();
        worst = worst.max(dw.assert_close(&label(&name), &found, false));
    }
    stage.assert_statistics(&label("statistics"));
    if case.image {
        return worst;
    }
    let Sums { values: mut dx, magnitudes: mut large } = products.dx;
    let starts = stage.input();
    for (index, z) in normalized.iter().enumerate() {
        if case.relu && *z <= 0.0 {
            (dx[index], large[index]) = (0.0, 0.0);
        }
        if accumulate {
            dx[index] += f64::from(starts[index]);
            large[index] += f64::from(starts[index]).abs();
        }
    }
    let found: Vec<f64> = stage.input_gradient().into_iter().map(f64::from).collect();
    worst.max(Sums { values: dx, magnitudes: large }.assert_close(&label("input gradient"), &found, true))
}

/// What a stage multiplies and adds.
struct Products {
    y: Sums,
    dx: Sums,
    dw: Vec<Sums>,
}

impl Products {
    fn of(operation: &dyn Linear, a: &[f64], weights: &[Vec<f64>], dy: &[f64]) -> Self {
        let large_weights: Vec<Vec<f64>> = weights.iter().map(|weights| magnitudes(weights)).collect();
        let [weights, large_weights] =
            [weights, &large_weights].map(|weights| weights.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let [large_a, large_dy] = [a, dy].map(magnitudes);
        let (dx, dw) = operation.reference_backward(a, &weights, dy);
        // Which taps of a maximum have a gradient, the signs of its input decide.
        let (large_dx, _) = operation.reference_backward(a, &large_weights, &large_dy);
        let (_, large_dw) = operation.reference_backward(&large_a, &large_weights, &large_dy);
        let dw = dw.into_iter().zip(large_dw).map(|(values, magnitudes)| Sums { values, magnitudes }).collect();
        let y = operation.reference_forward(a, &weights);
        let large_y = operation.reference_forward(&large_a, &large_weights);
        let sums = |values, magnitudes| Sums { values, magnitudes };
        Self { y: sums(y, large_y), dx: sums(dx, large_dx), dw }
    }
}

/// The depthwise filter, in f32 tap by tap, rounded.
fn filtered(op: &DepthwiseSeparable, a: &[f64], weights: &[f32]) -> Vec<f64> {
    let (channels, count) = (op.input.channels, op.window.taps());
    let (inputs, outputs) = (op.input.pixels(), op.output.pixels());
    let images = a.len() / channels / inputs;
    let mut h = vec![0.0_f32; images * outputs * channels];
    for image in 0..images {
        for (pixel, tap, source) in convolution::reference::taps(op.window, op.input, op.output) {
            for channel in 0..channels {
                let h = &mut h[(image * outputs + pixel) * channels + channel];
                let a = a[(image * inputs + source) * channels + channel] as f32;
                *h = a.mul_add(weights[channel * count + tap], *h);
            }
        }
    }
    rounded(h)
}

/// Gradients of the filter's input and weights: the reference's, where the pointwise convolution changes nothing.
fn filter_gradients(op: &DepthwiseSeparable, a: &[f64], weights: &[f32], dh: &[f64]) -> (Sums, Sums) {
    let channels = op.input.channels;
    let op = DepthwiseSeparable { output: Shape { channels, ..op.output }, ..*op };
    let identity: Vec<f64> = (0..channels * channels).map(|i| f64::from(u8::from(i % (channels + 1) == 0))).collect();
    let weights: Vec<f64> = weights.iter().map(|weight| f64::from(*weight)).collect();
    let backward = depthwise::reference::backward;
    let (dx, dv, _) = backward(&op, a, &weights, &identity, dh);
    let (large_dx, large_dv, _) = backward(&op, &magnitudes(a), &magnitudes(&weights), &identity, &magnitudes(dh));
    (Sums { values: dx, magnitudes: large_dx }, Sums { values: dv, magnitudes: large_dv })
}
