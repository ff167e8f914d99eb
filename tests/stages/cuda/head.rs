//! The classifier.

use super::input::Input;
use super::numbers::{allocate, download, upload};
use super::rounded::wide;
use super::{On, geometry, kernels};
use crate::case::{self, Case, Kind};
use crate::common::rounding::Tally;
use crate::found::Found;
use crate::given::Given;
use crate::{CPU_TOLERANCE, compare, reference};
use bytemuck::Zeroable;
use crosstalk::backend::reference::head::backward;
use crosstalk::backend::reference::numbers::Bf16;
use crosstalk::device::{Argument, Buffer, Device, Launch, Pointer};
use crosstalk::ops::cuda::reduction::{Gradient, Term, add_gradients};
use crosstalk::ops::cuda::{Source, Stage, StageLaunch, Storage};
use crosstalk::ops::head::cuda::Head;
use crosstalk::ops::head::reference as formula;
use crosstalk::tensor::Shape;

/// What a head's kernels left.
struct Classified<'a> {
    case: &'a Case,
    inputs: Vec<Input>,
    features: Vec<f32>,
    logits: Vec<f32>,
    losses: Vec<f32>,
    predictions: Vec<u32>,
    labels: Vec<u8>,
    /// Of classifier and bias, in the bank's layout.
    weight_gradients: Vec<Vec<f32>>,
}

fn classify<'a>(device: &Device, storage: Storage, given: &Given<'a>, accumulate: bool) -> Classified<'a> {
    let (case, labels) = (given.case, given.labels());
    let (images, classes) = (case.batch, case.output().channels as u32);
    let kernels = kernels(case, storage);
    let geometry = kernels.geometry;
    let features = geometry.in_channels as usize;
    let inputs: Vec<Input> = (0..case.segments.len())
        .map(|index| Input::new(device, storage, given, index, kernels.gradient_parts, accumulate))
        .collect();
    let sources: Vec<Source> = inputs.iter().map(|input| input.source(case, accumulate)).collect();
    let sources = upload(device, "sources", &sources);
    let banks: Vec<Vec<f32>> = (case.weights().into_iter())
        .map(|(name, layout)| {
            let mut bank = vec![0.0; layout.bank_len()];
            let values: Vec<f32> = given.vector(name);
            layout.bank_positions().into_iter().zip(values).for_each(|(position, value)| bank[position] = value);
            bank
        })
        .collect();
    assert_eq!(banks[0].len(), classes as usize * features);
    let weights: Vec<Buffer<f32>> = banks.iter().map(|bank| upload(device, "weights", bank)).collect();
    let parts = kernels.weight_parts[0] as usize;
    let lens = [banks[0].len(), classes as usize];
    let weight_parts = lens.map(|len| allocate::<f32>(device, "weight parts", parts * len));
    let totals = lens.map(|len| allocate::<f32>(device, "weight gradients", len));
    let counter: Buffer<u32> = device.zeros("counter", 1).expect("memory");
    let on_device = upload(device, "labels", &labels);
    let [pooled, dfeatures] = ["features", "dfeatures"].map(|name| allocate::<f32>(device, name, images * features));
    let [logits, dlogits] = ["logits", "dlogits"].map(|name| allocate::<f32>(device, name, images * classes as usize));
    let (losses, predictions) = (allocate::<f32>(device, "losses", images), allocate::<u32>(device, "classes", images));
    let stage = Stage {
        sources: Pointer::to(&sources, 0),
        source_count: inputs.len() as u32,
        relu: case.relu.into(),
        from: geometry.from,
        in_channels: geometry.in_channels,
        weights: [0, 1].map(|i| Pointer::to(&weights[i], 0)),
        weight_parts: [0, 1].map(|i| Pointer::to(&weight_parts[i], 0)),
        counter: Pointer::to(&counter, 0),
        ..Stage::zeroed()
    };
    let head = Head {
        stage,
        labels: Pointer::to(&on_device, 0),
        features: Pointer::to(&pooled, 0),
        logits: Pointer::to(&logits, 0),
        losses: Pointer::to(&losses, 0),
        predictions: Pointer::to(&predictions, 0),
        dlogits: Pointer::to(&dlogits, 0),
        dfeatures: Pointer::to(&dfeatures, 0),
        classes,
        scale: 1.0 / images as f32,
    };
    let (heads, count) = (upload(device, "heads", &[head]), upload(device, "count", &[1_u32]));
    for kernel in [&kernels.forward].into_iter().chain(&kernels.backward) {
        let StageLaunch { kernel, parts, columns, shared_bytes } = kernel.launch;
        let block = [StageLaunch::THREADS, 1, 1];
        let launch = Launch { kernel, grid: [parts, 2, columns], block, shared_bytes, cooperative: false };
        let arguments = [Argument::buffer(&heads), Argument::buffer(&count)];
        device.launch(&launch, &arguments).unwrap_or_else(|error| panic!("{case}: {error}"));
    }
    let terms = [0, 1].map(|i| Term { from: Pointer::to(&weight_parts[i], 0), parts: parts as u64 });
    let entries = [0, 1].map(|i| Gradient {
        to: Pointer::to(&totals[i], 0),
        first: i as u32,
        terms: 1,
        len: lens[i] as u32,
        accumulate: 0,
        scale: 1.0,
        unused: 0,
    });
    let (entries, count) = (upload(device, "entries", &entries), upload(device, "count", &[2_u32]));
    let terms = upload(device, "terms", &terms);
    let arguments = [Argument::buffer(&entries), Argument::buffer(&terms), Argument::buffer(&count)];
    device.launch(&add_gradients(3, lens[0] as u32), &arguments).unwrap_or_else(|error| panic!("{case}: {error}"));
    Classified {
        case,
        inputs,
        features: download(&pooled),
        logits: download(&logits),
        losses: download(&losses),
        predictions: download(&predictions),
        labels,
        weight_gradients: totals.iter().map(download).collect(),
    }
}

impl Classified<'_> {
    fn record(&self, found: &mut Found) {
        let (case, images) = (self.case, self.case.batch);
        self.inputs.iter().enumerate().for_each(|(index, input)| input.record(case, index, found));
        for ((name, layout), gradient) in case.weights().iter().zip(&self.weight_gradients) {
            found.parameter(name, layout, gradient);
        }
        let stored = case.stored_input();
        let positions = stored.positions();
        let rows = self.features.chunks(stored.physical());
        let pooled = rows.flat_map(|row| positions.iter().map(|at| f64::from(row[*at])));
        found.insert("pooled", vec![images, positions.len()], pooled);
        let logits = self.logits.iter().map(|logit| f64::from(*logit));
        found.insert("logits", vec![images, case.output().channels], logits);
        let total: f64 = self.losses.iter().map(|loss| f64::from(*loss)).sum();
        found.insert("loss", vec![1], [total / images as f64]);
        let pairs = self.predictions.iter().zip(&self.labels);
        found.correct(pairs.filter(|(prediction, label)| **prediction == u32::from(**label)).count());
    }
}

fn heads(cases: &[Case]) -> impl Iterator<Item = &Case> {
    cases.iter().filter(|case| case.operation == Kind::Head)
}

fn check_in_f32(on: On) {
    let mut worst = 0.0_f64;
    for case in heads(&case::table()) {
        let given = Given::drawn(case);
        for accumulate in [false, true] {
            let expected = reference::run(&given, accumulate).0;
            let of_devices = [0, 1].map(|which| {
                let mut found = Found::default();
                classify(&on.device(which), Storage::F32, &given, accumulate).record(&mut found);
                found.0
            });
            let [found, again] = of_devices;
            let label = format!("{case}, accumulating {accumulate}");
            assert_eq!(found, again, "{label}: bits of another run");
            worst = worst.max(compare(&label, found, expected, CPU_TOLERANCE));
        }
    }
    println!("f32: largest error {worst:.1e}");
}

/// Judged by the inputs as they are normalized in f32, and nothing is rounded but the gradients of the inputs.
fn check_in_bf16(on: On) {
    let (mut worst, mut tally) = (0.0_f64, Tally::default());
    for case in heads(&case::table()) {
        let (given, Shape { channels, .. }) = (Given::drawn(case), case.input());
        let (pixels, labels) = (case.input().pixels(), given.labels());
        let [weights, bias]: [Vec<f64>; 2] = ["weight.0", "bias"].map(|name| given.vector(name));
        for accumulate in [false, true] {
            let label = format!("{case}, accumulating {accumulate}");
            let head = classify(&on.device(accumulate.into()), Storage::Bf16, &given, accumulate);
            let mut found = Found::default();
            head.record(&mut found);
            let normalized: Vec<Vec<f32>> = head.inputs.iter().map(Input::normalized).collect();
            let passes = |z: f32| !case.relu || z > 0.0;
            let mut x = Vec::new();
            for pixel in 0..case.batch * pixels {
                for (values, segment) in normalized.iter().zip(&case.segments) {
                    let values = &values[pixel * segment.channels..][..segment.channels];
                    x.extend(values.iter().map(|&z| if passes(z) { f64::from(z) } else { 0.0 }));
                }
            }
            let forward = formula::forward(&x, pixels, channels, &weights, &bias, &labels);
            let [dx, dweights, dbias] = backward::<Bf16>(&forward, pixels, &weights, &labels);
            let mut first = 0;
            for (index, segment) in case.segments.iter().enumerate() {
                let (input, z) = (&head.inputs[index], &normalized[index]);
                let du = dx.channels(first..first + segment.channels, channels);
                let mut expected = du.masked(|at| passes(z[at]));
                if accumulate {
                    expected = expected.plus(&wide(input.values()));
                }
                tally.take_right(&format!("{label}, input {index}"), wide(input.gradient()), &expected, true);
                first += segment.channels;
            }
            let mut expected = Found::default();
            expected.insert("loss", vec![1], [forward.losses.iter().sum::<f64>() / case.batch as f64]);
            expected.insert("pooled", vec![case.batch, channels], forward.pooled);
            expected.insert("logits", vec![case.batch, bias.len()], forward.logits);
            expected.insert("weight_gradient.0", vec![bias.len(), channels], dweights.values);
            expected.insert("bias_gradient", vec![bias.len()], dbias.values);
            found.0.retain(|name, _| expected.0.contains_key(name));
            worst = worst.max(compare(&label, found.0, expected.0, CPU_TOLERANCE));
        }
    }
    println!("bf16: {tally:?}, largest error of f32 sums {worst:.1e}");
}

fn check_predictions(on: On) {
    let table = case::table();
    let case = heads(&table).find(|case| case.name == "head_8_channels").expect("a case");
    assert_eq!(geometry(case).from.images as usize, case.batch);
    for (bias, prediction, finite) in [
        ([0.0, 1.0, 0.5, 1.0, 0.0], 1, true),
        ([0.0, 1.0, 0.5, f32::NAN, 2.0], 4, false),
        ([f32::NAN, 1.0, 0.5, 0.0, 2.0], 0, false),
    ] {
        let mut given = Given::drawn(case);
        for (name, values) in [("weight.0", vec![0.0; 5 * 8]), ("bias", bias.to_vec())] {
            let tensor = given.tensors.get_mut(name).expect("a parameter");
            tensor.values = crosstalk::tensors::Values::F32(values);
        }
        let head = classify(&on.device(0), Storage::F32, &given, false);
        assert_eq!(head.predictions, vec![prediction; case.batch]);
        assert!(head.losses.iter().all(|loss| loss.is_finite() == finite));
        assert!(head.weight_gradients[1].iter().all(|gradient| gradient.is_finite() == finite));
    }
}

#[test]
fn the_kernels_of_heads_agree_with_the_reference() {
    check_in_f32(On::Emulator);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_the_kernels_of_heads_agree_with_the_reference() {
    check_in_f32(On::Gpu);
}

#[test]
fn the_kernels_of_heads_in_bf16_are_right_to_their_last_places() {
    check_in_bf16(On::Emulator);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_the_kernels_of_heads_in_bf16_are_right_to_their_last_places() {
    check_in_bf16(On::Gpu);
}

#[test]
fn the_first_class_with_the_largest_logit_is_predicted_and_a_logit_that_is_no_number_spreads() {
    check_predictions(On::Emulator);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_the_first_class_with_the_largest_logit_is_predicted_and_a_logit_that_is_no_number_spreads() {
    check_predictions(On::Gpu);
}
