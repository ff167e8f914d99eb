//! Stages in bf16, kernel by kernel: each is judged by what it read, so that no rounding of an operand can fall on the other side. Operands of
//! products are rounded as the kernels round them, from the same f32 formulas; the products themselves are the reference's, in f64.

use super::device_stage::DeviceStage;
use super::{Kernels, On, geometry};
use crate::case::{self, Case, Kind};
use crate::found::Found;
use crate::given::Given;
use crosstalk::ops::cuda::{Geometry, Storage};
use crosstalk::ops::{Convolution, DepthwiseSeparable, Operation, Window, convolution, depthwise, factorized_reduce};
use crosstalk::tensor::Shape;
use half::bf16;

/// A sum in f32 may differ by this part of the sum of its terms' magnitudes.
const SUM: f64 = 1e-5;
/// Half a unit in the last place of bf16 is at most this part of a number.
const HALF_UNIT: f64 = 1.0 / 256.0;

/// Runs all stages of some kinds in bf16.
pub fn check_in_bf16(on: On, kinds: &[Kind], kernels: impl Fn(&Case, &Geometry, Storage) -> Kernels) {
    let mut worst = 0.0_f64;
    let cases = case::table();
    let cases = cases.iter().filter(|case| kinds.contains(&case.operation) && on.takes(case));
    for case in cases {
        let (given, geometry) = (Given::drawn(case), geometry(case));
        let kernels = kernels(case, &geometry, Storage::Bf16);
        for accumulate in [false, true] {
            let device = on.device(accumulate.into());
            let mut stage = DeviceStage::new(&device, Storage::Bf16, &given, &kernels, &geometry, accumulate);
            stage.run(&kernels);
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
    let dy = rounded(stage.raw_output_gradient());
    let output: Vec<f64> = stage.output().into_iter().map(f64::from).collect();
    let weights: Vec<Vec<f32>> = case.weights().iter().map(|(name, _)| given.vector(name)).collect();
    let products = match &operation {
        Operation::Convolution(op) => Products::of_convolution(op, &a, &rounded(weights[0].clone()), &dy),
        Operation::FactorizedReduce(op) => {
            let weights = [0, 1].map(|half| rounded(weights[half].clone()));
            let of = |a: &[f64], weights: [&[f64]; 2], dy: &[f64]| {
                let (dx, dw) = factorized_reduce::reference::backward(op, a, weights, dy);
                (factorized_reduce::reference::forward(op, a, weights), dx, dw)
            };
            let (y, dx, [first, second]) = of(&a, [&weights[0], &weights[1]], &dy);
            let sizes = weights.each_ref().map(|weights| magnitudes(weights));
            let large = of(&magnitudes(&a), [&sizes[0], &sizes[1]], &magnitudes(&dy));
            let (large_y, large_dx, [large_first, large_second]) = large;
            let sums = |values, magnitudes| Sums { values, magnitudes };
            let dw = vec![sums(first, large_first), sums(second, large_second)];
            Products { y: sums(y, large_y), dx: sums(dx, large_dx), dw }
        }
        Operation::DepthwiseSeparable(op) => {
            let h = filtered(op, &a, &weights[0]);
            let between = Shape { channels: op.input.channels, ..op.output };
            let pointwise = Convolution { window: Window::same(1, 1, 1), input: between, output: op.output };
            let pointwise = Products::of_convolution(&pointwise, &h, &rounded(weights[1].clone()), &dy);
            let dh: Vec<f64> = stage.scratch().into_iter().map(f64::from).collect();
            pointwise.dx.assert_close(&label("dh"), &dh, true);
            let (dx, dv) = filter_gradients(op, &a, &weights[0], &dh);
            let [dw] = pointwise.dw.try_into().map_err(drop).expect("one weight");
            Products { y: pointwise.y, dx, dw: vec![dv, dw] }
        }
        Operation::Pool(_) => unreachable!("it has no products"),
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
    fn of_convolution(op: &Convolution, a: &[f64], w: &[f64], dy: &[f64]) -> Self {
        use convolution::reference::{backward, forward};
        let large = [a, w, dy].map(magnitudes);
        let (dx, dw) = backward(op, a, w, dy);
        let (large_dx, large_dw) = backward(op, &large[0], &large[1], &large[2]);
        Self {
            y: Sums { values: forward(op, a, w), magnitudes: forward(op, &large[0], &large[1]) },
            dx: Sums { values: dx, magnitudes: large_dx },
            dw: vec![Sums { values: dw, magnitudes: large_dw }],
        }
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
