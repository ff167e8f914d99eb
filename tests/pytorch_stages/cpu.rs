//! Stages run through the CPU kernels in one chunk of images. Channels are padded, as they are stored.

use crate::case::{Case, Channels, Found, Given, Kind};
use crosstalk::network::{Layout, Segments};
use crosstalk::ops::input::SegmentGradient;
use crosstalk::ops::input::{GradientSums, Input, Moments, Normalize, NormalizeBackward, OutputGradient, Segment};
use crosstalk::ops::{Pool, PoolKind, Window, convolution, depthwise, head, node, pool};
use crosstalk::simd::{Level, Scratch};
use crosstalk::tensor::Shape;

/// A value as it is stored, and what its readers need to normalize it.
struct Stored {
    shape: Shape,
    channels: Channels,
    values: Vec<f32>,
    normalization: Option<Normalization>,
}

/// Per stored channel; zero in padding.
struct Normalization {
    mean: Vec<f32>,
    rstd: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Normalization {
    fn new(moments: &Moments, epsilon: f64, channels: &Channels, affine: Option<&[Vec<f32>; 2]>) -> Self {
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
    fn segment(&self) -> Segment<'_> {
        let normalize = self.normalization.as_ref();
        let normalize = normalize.map(|Normalization { mean, scale, shift, .. }| Normalize { mean, scale, shift });
        Segment { values: &self.values, channels: self.channels.stored, normalize }
    }

    /// As many numbers as there are values, none of them yet.
    fn unwritten(&self) -> Vec<f32> {
        vec![f32::NAN; self.values.len()]
    }
}

/// The gradient's place, which the kernel overwrites.
fn target(dz: &mut [f32]) -> SegmentGradient<'_> {
    SegmentGradient { dz, accumulate: false, sums: None }
}

pub fn run(level: Level, given: &Given) -> Found {
    let case = given.case;
    let mut found = Found::default();
    let stored: Vec<Stored> = (0..case.segments.len()).map(|index| segment(level, given, index, &mut found)).collect();
    let mut gradients: Vec<Vec<f32>> = stored.iter().map(Stored::unwritten).collect();
    match case.operation {
        Kind::Node => sum(level, given, &stored, &mut gradients, &mut found),
        Kind::Head => classify(level, given, &stored, &mut gradients, &mut found),
        _ => operate(level, given, &stored, &mut gradients, &mut found),
    }
    for (index, (gradient, value)) in gradients.iter().zip(&stored).enumerate() {
        if !case.is_image() {
            found.maps(format!("input_gradient.{index}"), value.shape, &value.channels, gradient);
        }
    }
    found
}

fn segment(level: Level, given: &Given, index: usize, found: &mut Found) -> Stored {
    let (case, description) = (given.case, &given.case.segments[index]);
    let shape = Shape { channels: description.channels, ..case.input() };
    let channels = match case.is_image() {
        true => Channels::padded(&Segments::image(shape.channels)),
        false => Channels::padded(&Segments::features(vec![shape.channels])),
    };
    let values = given.maps(&format!("input.{index}"), &channels);
    let mut stored = Stored { shape, channels, values, normalization: None };
    if description.normalize {
        let moments = moments_of(level, case, &stored);
        let names = [format!("input_mean.{index}"), format!("input_variance.{index}")];
        record(&moments, &stored.channels, names, found);
        let affine = ["gamma", "beta"].map(|name| format!("input_{name}.{index}"));
        let affine = description.affine.then(|| affine.map(|name| given.vector(&name)));
        stored.normalization = Some(Normalization::new(&moments, case.epsilon, &stored.channels, affine.as_ref()));
    }
    stored
}

/// A pool of single pixels copies its input and leaves its statistics.
fn moments_of(level: Level, case: &Case, stored: &Stored) -> Moments {
    let copy = Pool { kind: PoolKind::Max, window: Window::same(1, 1, 1), input: stored.shape, output: stored.shape };
    let (mut output, mut moments) = (stored.unwritten(), Moments::new(stored.channels.stored));
    let input = Input { segments: &[stored.segment()], relu: false };
    pool::cpu::forward(level, &copy, &input, case.batch, &mut output, Some(&mut moments), &mut Scratch::default());
    assert_eq!(output, stored.values);
    moments
}

fn record(moments: &Moments, channels: &Channels, [mean, variance]: [String; 2], found: &mut Found) {
    found.vector(mean, channels, &moments.mean);
    let variances: Vec<f64> = moments.m2.iter().map(|m2| m2 / moments.count).collect();
    found.vector(variance, channels, &variances);
}

fn sum(level: Level, given: &Given, stored: &[Stored], gradients: &mut [Vec<f32>], found: &mut Found) {
    let (shape, channels) = (given.case.output(), &stored[0].channels);
    let pixels = given.case.batch * shape.pixels();
    let gates: Vec<f32> = given.vector("gate");
    let terms: Vec<node::cpu::Term> = (stored.iter().zip(&gates))
        .map(|(value, gate)| node::cpu::Term { source: value.segment(), gate: Some(*gate) })
        .collect();
    let mut output = vec![f32::NAN; pixels * channels.stored];
    node::cpu::forward(level, &terms, pixels, &mut output);
    found.maps("raw", shape, channels, &output);
    let dnode: Vec<f32> = given.maps("output_gradient", channels);
    let mut gate_gradients = vec![f64::NAN; gates.len()];
    let mut term_gradients: Vec<node::cpu::TermGradient> = (gradients.iter_mut().zip(&mut gate_gradients))
        .map(|(dz, gate)| node::cpu::TermGradient { source: Some(target(dz)), gate: Some(gate) })
        .collect();
    node::cpu::backward(level, &terms, pixels, &dnode, &mut term_gradients);
    found.vector("gate_gradient", &Channels::plain(gates.len()), &gate_gradients);
}

/// Padding of the concatenated input, as the layouts of weights know it.
fn input_segments(case: &Case) -> Segments {
    let channels = case.segments.iter().map(|segment| segment.channels).collect();
    if case.is_image() { Segments::image(case.input().channels) } else { Segments::features(channels) }
}

/// A given parameter in the bank's layout.
fn bank(given: &Given, name: &str, layout: &Layout) -> Vec<f32> {
    let mut bank = vec![0.0; layout.bank_len()];
    let values: Vec<f32> = given.vector(name);
    layout.bank_positions().into_iter().zip(values).for_each(|(position, value)| bank[position] = value);
    bank
}

fn operate(level: Level, given: &Given, stored: &[Stored], gradients: &mut [Vec<f32>], found: &mut Found) {
    let (case, shape, images) = (given.case, given.case.output(), given.case.batch);
    let names = case.weights(input_segments(case));
    let weights: Vec<Vec<f32>> = names.iter().map(|(name, layout)| bank(given, name, layout)).collect();
    let segments: Vec<Segment> = stored.iter().map(Stored::segment).collect();
    let input = Input { segments: &segments, relu: case.relu };
    let channels = match case.operation {
        // A pool keeps the padding of its segments.
        Kind::MaxPool | Kind::AveragePool => Channels::padded(&input_segments(case)),
        _ => Channels::padded(&Segments::features(vec![shape.channels])),
    };
    let mut moments = Moments::new(channels.stored);
    let values = vec![f32::NAN; images * shape.pixels() * channels.stored];
    let mut output = Stored { shape, channels, values, normalization: None };
    let scratch = &mut Scratch::default();
    let (out, statistics) = (&mut output.values, Some(&mut moments));
    match case.operation {
        Kind::Convolution => {
            let op = case.convolution();
            convolution::cpu::forward(level, &op, &input, images, &weights[0], out, statistics, scratch);
        }
        Kind::DepthwiseSeparable => {
            let (op, weights) = (case.depthwise_separable(), separable(&weights));
            depthwise::cpu::forward(level, &op, &input, images, weights, out, statistics, scratch);
        }
        _ => pool::cpu::forward(level, &case.pool(), &input, images, out, statistics, scratch),
    }
    found.maps("raw", shape, &output.channels, &output.values);
    let dz: Vec<f32> = given.maps("output_gradient", &output.channels);
    let mut sums = None;
    if case.normalize_output {
        record(&moments, &output.channels, ["mean".into(), "variance".into()], found);
        let affine = case.affine_output.then(|| ["gamma", "beta"].map(|name| given.vector(name)));
        output.normalization = Some(Normalization::new(&moments, case.epsilon, &output.channels, affine.as_ref()));
        sums = Some(read_normalized(level, case, &output, &dz, found));
    }
    let normalize = output.normalization.as_ref().zip(sums.as_ref());
    let normalize = normalize.map(|(Normalization { mean, rstd, scale, .. }, [m1, m2])| NormalizeBackward {
        mean,
        rstd,
        k: scale,
        m1,
        m2,
    });
    let dy = OutputGradient { dz: &dz, y: &output.values, normalize };
    let mut weight_gradients: Vec<Vec<f32>> = weights.iter().map(|weights| vec![f32::NAN; weights.len()]).collect();
    let mut targets: Vec<SegmentGradient> = gradients.iter_mut().map(|dz| target(dz)).collect();
    // Nobody wants the gradient of an image.
    let wanted = (!case.is_image()).then_some(targets.as_mut_slice());
    match case.operation {
        Kind::Convolution => {
            let (op, mut prepared) = (case.convolution(), vec![0.0; weights[0].len()]);
            convolution::cpu::prepare_backward(&op, &weights[0], &mut prepared);
            let dw = &mut weight_gradients[0];
            convolution::cpu::backward(level, &op, &input, images, &prepared, dy, wanted, dw, scratch);
        }
        Kind::DepthwiseSeparable => {
            let op = case.depthwise_separable();
            let mut prepared = vec![0.0; weights[0].len() + weights[1].len()];
            let weights = separable(&weights);
            depthwise::cpu::prepare_backward(&op, weights, &mut prepared);
            let [depthwise, pointwise] = weight_gradients.as_mut_slice() else { unreachable!("two weights") };
            let dw = depthwise::cpu::WeightGradients { depthwise, pointwise };
            depthwise::cpu::backward(level, &op, &input, images, weights, &prepared, dy, wanted, dw, scratch);
        }
        _ => pool::cpu::backward(level, &case.pool(), &input, images, dy, &mut targets, scratch),
    }
    for ((name, layout), gradient) in names.iter().zip(&weight_gradients) {
        found.parameter(name, layout, gradient);
    }
}

fn separable(weights: &[Vec<f32>]) -> depthwise::cpu::Weights<'_> {
    depthwise::cpu::Weights { depthwise: &weights[0], pointwise: &weights[1] }
}

/// The stage's consumer, a node of one term: it reads the normalized output, and its backward sums the gradient of that for the
/// normalization. Means over all pixels of `dz` and `dz * xhat`.
fn read_normalized(level: Level, case: &Case, output: &Stored, dz: &[f32], found: &mut Found) -> [Vec<f32>; 2] {
    let pixels = case.batch * output.shape.pixels();
    let terms = [node::cpu::Term { source: output.segment(), gate: None }];
    let mut read = output.unwritten();
    node::cpu::forward(level, &terms, pixels, &mut read);
    found.maps("normalized", output.shape, &output.channels, &read);
    let Some(Normalization { mean, rstd, .. }) = &output.normalization else { unreachable!("it is normalized") };
    let (mut sums, mut sums_xhat) = (vec![f64::NAN; output.channels.stored], vec![f64::NAN; output.channels.stored]);
    let wanted = GradientSums { mean, rstd, dz: &mut sums, dz_xhat: &mut sums_xhat };
    let mut passed = output.unwritten();
    let source = SegmentGradient { dz: &mut passed, accumulate: false, sums: Some(wanted) };
    node::cpu::backward(level, &terms, pixels, dz, &mut [node::cpu::TermGradient { source: Some(source), gate: None }]);
    assert_eq!(passed, dz);
    if case.affine_output {
        found.vector("gamma_gradient", &output.channels, &sums_xhat);
        found.vector("beta_gradient", &output.channels, &sums);
    }
    [sums, sums_xhat].map(|sums| sums.iter().map(|sum| (sum / pixels as f64) as f32).collect())
}

fn classify(level: Level, given: &Given, stored: &[Stored], gradients: &mut [Vec<f32>], found: &mut Found) {
    let (case, images) = (given.case, given.case.batch);
    let names = case.weights(input_segments(case));
    let parameters: Vec<Vec<f32>> = names.iter().map(|(name, layout)| bank(given, name, layout)).collect();
    let segments: Vec<Segment> = stored.iter().map(Stored::segment).collect();
    let input = Input { segments: &segments, relu: case.relu };
    let labels: Vec<u32> = given.labels().into_iter().map(u32::from).collect();
    let Shape { height, width, .. } = case.input();
    let head = head::cpu::Head { height, width, classes: case.output_channels };
    let mut features = vec![f32::NAN; images * input.channels()];
    let mut logits = vec![f32::NAN; images * head.classes];
    let (mut losses, mut predictions) = (vec![f32::NAN; images], vec![u32::MAX; images]);
    let mut outputs = head::cpu::Outputs {
        features: &mut features,
        logits: &mut logits,
        losses: &mut losses,
        predictions: &mut predictions,
    };
    let scratch = &mut Scratch::default();
    let [weights, bias] = parameters.as_slice() else { unreachable!("weights and bias") };
    head::cpu::forward(level, &head, &input, images, weights, bias, &labels, &mut outputs, scratch);
    let mut weight_gradients: [Vec<f32>; 2] = [weights, bias].map(|values| vec![f32::NAN; values.len()]);
    let mut targets: Vec<SegmentGradient> = gradients.iter_mut().map(|dz| target(dz)).collect();
    let [dweights, dbias] = &mut weight_gradients;
    let wanted = head::cpu::ClassifierGradients { weights: dweights, bias: dbias };
    let scale = 1.0 / images as f32;
    head::cpu::backward(level, &head, &input, images, weights, &labels, &outputs, scale, &mut targets, wanted, scratch);
    for ((name, layout), gradient) in names.iter().zip(&weight_gradients) {
        found.parameter(name, layout, gradient);
    }
    let positions = input_segments(case).positions();
    let pooled = features.chunks(input.channels()).flat_map(|row| positions.iter().map(|at| f64::from(row[*at])));
    found.insert("pooled", vec![images, positions.len()], pooled);
    found.insert("logits", vec![images, head.classes], logits.iter().map(|logit| f64::from(*logit)));
    found.insert("loss", vec![1], [losses.iter().map(|loss| f64::from(*loss)).sum::<f64>() / images as f64]);
    found.correct(predictions.iter().zip(&labels).filter(|(prediction, label)| prediction == label).count());
}
