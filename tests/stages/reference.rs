//! Stages composed from the reference's formulas. Feature maps are not padded.

use crate::case::{Case, Kind, Normalization};
use crate::channels::Channels;
use crate::found::{Found, gradient_name};
use crate::given::Given;
use crosstalk::ops::{Operation, head, node, normalization};

/// `accumulate`: input gradients are added to the inputs themselves.
pub fn run(given: &Given, accumulate: bool) -> Found {
    let case = given.case;
    let mut found = Found::default();
    let inputs: Vec<Producer> = (0..case.segments.len()).map(|index| Producer::new(given, index, &mut found)).collect();
    let gradients = match case.operation {
        Kind::Node => sum(given, &inputs, &mut found),
        _ => concatenated(given, &inputs, &mut found),
    };
    for (index, (input, mut gradient)) in inputs.iter().zip(gradients).enumerate() {
        if accumulate {
            gradient.iter_mut().zip(&input.raw).for_each(|(gradient, start)| *gradient += start);
        }
        if !case.image {
            found.maps(format!("input_gradient.{index}"), case.input(), &input.channels, &gradient);
        }
    }
    found
}

/// What a stage reads.
struct Producer {
    channels: Channels,
    raw: Vec<f64>,
    seen: Vec<f64>,
}

impl Producer {
    fn new(given: &Given, index: usize, found: &mut Found) -> Self {
        let segment = &given.case.segments[index];
        let channels = Channels::plain(segment.channels);
        let raw: Vec<f64> = given.maps(&format!("input.{index}"), &channels);
        if segment.normalization == Normalization::None {
            return Self { channels, seen: raw.clone(), raw };
        }
        let affine = segment.normalization == Normalization::Affine;
        let affine = affine.then(|| ["gamma", "beta"].map(|name| given.vector(&format!("input_{name}.{index}"))));
        let names = [format!("input_mean.{index}"), format!("input_variance.{index}")];
        let (seen, ..) = normalize(given.case, &raw, segment.channels, affine.as_ref(), names, found);
        Self { channels, raw, seen }
    }
}

/// A feature map, normalized by its own statistics; the mean and the variance.
fn normalize(
    case: &Case,
    y: &[f64],
    channels: usize,
    affine: Option<&[Vec<f64>; 2]>,
    [mean_name, variance_name]: [String; 2],
    found: &mut Found,
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let (count, mean, squares) = normalization::reference::moments(y, channels);
    let variance: Vec<f64> = squares.iter().map(|square| square / count).collect();
    found.vector(mean_name, &Channels::plain(channels), &mean);
    found.vector(variance_name, &Channels::plain(channels), &variance);
    let mut z = normalization::reference::standardize(y, &mean, &variance, case.epsilon);
    normalization::reference::scale_and_shift(&mut z, affine.map(|[gamma, beta]| (&gamma[..], &beta[..])));
    (z, mean, variance)
}

fn sum(given: &Given, inputs: &[Producer], found: &mut Found) -> Vec<Vec<f64>> {
    let shape = given.case.output();
    let channels = Channels::plain(shape.channels);
    let gates: Vec<f64> = given.vector("gate");
    let dout = given.maps("output_gradient", &channels);
    let terms: Vec<(&[f64], f64)> = inputs.iter().map(|input| &input.seen[..]).zip(gates.iter().copied()).collect();
    found.maps("raw", shape, &channels, &node::reference::forward(&terms, dout.len()));
    let (dterms, dgates): (Vec<Vec<f64>>, Vec<f64>) =
        terms.iter().map(|(term, gate)| node::reference::backward(term, *gate, &dout)).unzip();
    found.vector("gate_gradient", &Channels::plain(dgates.len()), &dgates);
    dterms
}

/// A stage on the concatenation of its segments; their gradients.
fn concatenated(given: &Given, inputs: &[Producer], found: &mut Found) -> Vec<Vec<f64>> {
    let case = given.case;
    let channels: Vec<usize> = case.segments.iter().map(|segment| segment.channels).collect();
    let before: Vec<f64> = (0..case.batch * case.input().pixels())
        .flat_map(|pixel| {
            let part = move |(input, count): (&Producer, &usize)| input.seen[pixel * count..][..*count].to_vec();
            inputs.iter().zip(&channels).flat_map(part)
        })
        .collect();
    let passes = |x: f64| !case.relu || x > 0.0;
    let x: Vec<f64> = before.iter().map(|x| if passes(*x) { *x } else { 0.0 }).collect();
    let mut dx = match case.linear() {
        Some(operation) => operate(given, operation, &x, found),
        None => classify(given, &x, found),
    };
    dx.iter_mut().zip(&before).for_each(|(d, x)| *d = if passes(*x) { *d } else { 0.0 });
    let mut start = 0;
    let split = channels.iter().map(|count| {
        let columns = start..start + count;
        start += count;
        dx.chunks(case.input().channels).flat_map(|pixel| pixel[columns.clone()].to_vec()).collect()
    });
    split.collect()
}

fn operate(given: &Given, operation: Operation, x: &[f64], found: &mut Found) -> Vec<f64> {
    let (case, shape) = (given.case, operation.output());
    let channels = Channels::plain(shape.channels);
    let names = case.weights();
    let weights: Vec<Vec<f64>> = names.iter().map(|(name, _)| given.vector(name)).collect();
    let weights: Vec<&[f64]> = weights.iter().map(Vec::as_slice).collect();
    let raw = operation.linear().reference_forward(x, &weights);
    found.maps("raw", shape, &channels, &raw);
    let dz = given.maps("output_gradient", &channels);
    let dy = match case.normalization() {
        Normalization::None => dz,
        _ => through_normalization(given, &raw, &dz, found),
    };
    let (dx, gradients) = operation.linear().reference_backward(x, &weights, &dy);
    for ((name, layout), gradient) in names.iter().zip(gradients) {
        found.insert(gradient_name(name), layout.shape(), gradient);
    }
    dx
}

fn through_normalization(given: &Given, raw: &[f64], dz: &[f64], found: &mut Found) -> Vec<f64> {
    let (case, shape) = (given.case, given.case.output());
    let affine =
        (case.normalization() == Normalization::Affine).then(|| ["gamma", "beta"].map(|name| given.vector(name)));
    let names = ["mean".to_owned(), "variance".to_owned()];
    let (z, mean, variance) = normalize(case, raw, shape.channels, affine.as_ref(), names, found);
    let channels = Channels::plain(shape.channels);
    found.maps("normalized", shape, &channels, &z);
    let gamma = affine.as_ref().map(|[gamma, _]| gamma.as_slice());
    let (dy, dgamma, dbeta) = normalization::reference::backward(raw, &mean, &variance, case.epsilon, gamma, dz);
    if affine.is_some() {
        found.vector("gamma_gradient", &channels, &dgamma);
        found.vector("beta_gradient", &channels, &dbeta);
    }
    dy
}

fn classify(given: &Given, x: &[f64], found: &mut Found) -> Vec<f64> {
    let (case, labels) = (given.case, given.labels());
    let (input, classes) = (case.input(), case.output().channels);
    let [weights, bias]: [Vec<f64>; 2] = ["weight.0", "bias"].map(|name| given.vector(name));
    let forward = head::reference::forward(x, input.pixels(), input.channels, &weights, &bias, &labels);
    let (dx, dweights, dbias) = head::reference::backward(&forward, input.pixels(), &weights, &labels);
    found.insert("loss", vec![1], [forward.losses.iter().sum::<f64>() / labels.len() as f64]);
    found.correct(forward.predictions.iter().zip(&labels).filter(|(prediction, label)| prediction == label).count());
    found.insert("pooled", vec![case.batch, input.channels], forward.pooled);
    found.insert("logits", vec![case.batch, classes], forward.logits);
    found.insert("weight_gradient.0", vec![classes, input.channels], dweights);
    found.insert("bias_gradient", vec![classes], dbias);
    dx
}
