//! Pools, nodes and heads in bf16. Each is judged by what it read: inputs normalized in f32, for pools rounded to bf16 then, and the stored
//! output; the rest is the reference's, in f64.

use super::On;
use super::device_stage::DeviceStage;
use crate::case::{self, Kind};
use crate::found::Found;
use crate::given::Given;
use crosstalk::ops::cuda::Storage;

/// A sum in f32 may differ by this part of the sum of its terms' magnitudes.
const SUM: f64 = 1e-5;
/// Half a unit in the last place of bf16 is at most this part of a number.
const HALF_UNIT: f64 = 1.0 / 256.0;

/// Runs all nodes in bf16.
pub fn check_nodes_in_bf16(on: On) {
    let mut worst = 0.0_f64;
    for case in case::table().iter().filter(|case| case.operation == Kind::Node && on.takes(case)) {
        let given = Given::drawn(case);
        for accumulate in [false, true] {
            let device = on.device(accumulate.into());
            let mut stage = DeviceStage::new(&device, Storage::Bf16, &given, accumulate);
            stage.run();
            let mut found = Found::default();
            stage.record(&mut found);
            let label = format!("{case}, accumulating {accumulate}");
            worst = worst.max(judge_node(&label, &given, &stage, &found, accumulate));
        }
    }
    println!("bf16: largest error {worst:.3} of what is allowed");
}

fn wide(values: Vec<f32>) -> Vec<f64> {
    values.into_iter().map(f64::from).collect()
}

/// Of every number the expected one, and the sum of its terms' magnitudes.
pub type Sums = Vec<(f64, f64)>;

/// Asserts that stored numbers are f32 sums, rounded; the largest part of the allowed error.
pub fn assert_rounded(label: &str, found: &[f32], expected: &Sums) -> f64 {
    assert_eq!(found.len(), expected.len(), "{label}");
    let mut worst = 0.0_f64;
    for (index, (&found, &(expected, magnitude))) in found.iter().zip(expected).enumerate() {
        let sum = SUM * magnitude;
        let allowed = sum + HALF_UNIT * (expected.abs() + sum);
        let error = (f64::from(found) - expected).abs();
        assert!(error <= allowed, "{label}, number {index}: {found}, not {expected}; {allowed:e} is allowed");
        worst = worst.max(if error == 0.0 { 0.0 } else { error / allowed });
    }
    worst
}

fn accumulated(gradient: Sums, start: &[f32]) -> Sums {
    gradient.into_iter().zip(start).map(|((d, size), x)| (d + f64::from(*x), size + f64::from(x.abs()))).collect()
}

fn judge_node(label: &str, given: &Given, stage: &DeviceStage, found: &Found, accumulate: bool) -> f64 {
    let (gates, channels): (Vec<f64>, _) = (given.vector("gate"), given.case.output().channels);
    let (z, dnode) = (wide(stage.normalized_input()), wide(stage.raw_output_gradient()));
    let (mut output, mut dz) = (Sums::new(), Sums::new());
    let mut dgates = vec![(0.0, 0.0); gates.len()];
    for (z, dnode) in z.chunks(gates.len() * channels).zip(dnode.chunks(channels)) {
        for channel in 0..channels {
            let terms = gates.iter().enumerate().map(|(term, gate)| gate * z[term * channels + channel]);
            output.push(terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs())));
        }
        for (term, gate) in gates.iter().enumerate() {
            for (d, z) in dnode.iter().zip(&z[term * channels..]) {
                dz.push((gate * d, (gate * d).abs()));
                dgates[term].0 += d * z;
                dgates[term].1 += (d * z).abs();
            }
        }
    }
    let of_output = assert_rounded(&format!("{label}, output"), &stage.output(), &output);
    let dz = if accumulate { accumulated(dz, &stage.input()) } else { dz };
    let of_gradient = assert_rounded(&format!("{label}, input gradient"), &stage.input_gradient(), &dz);
    for (found, (expected, magnitude)) in found.0["gate_gradient"].values.iter_f64().zip(dgates) {
        assert!((found - expected).abs() <= SUM * magnitude, "{label}: the gate's gradient is {found}, not {expected}");
    }
    of_output.max(of_gradient)
}
