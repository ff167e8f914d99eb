//! What a case gives: golden tensors, or numbers drawn from its name.

use crate::case::{Case, Kind, Normalization};
use crate::channels::Channels;
use crosstalk::rng::{Purpose, Stream};
use crosstalk::tensor::Real;
use crosstalk::tensors::{Tensor, Values};
use std::collections::BTreeMap;

/// A case with its numbers: tensors under the names and in the layout of PyTorch (`tests/pytorch/stages.py` lists them).
pub struct Given<'a> {
    pub case: &'a Case,
    pub tensors: BTreeMap<String, Tensor>,
}

impl<'a> Given<'a> {
    /// Numbers drawn from the case's name; every channel has a mean and a deviation of its own, so that a missing normalization shows.
    pub fn drawn(case: &'a Case) -> Self {
        let mut draw = Draw::new(&case.name);
        let (batch, input, output) = (case.batch, case.input(), case.output());
        for (index, segment) in case.segments.iter().enumerate() {
            let shape = vec![batch, segment.channels, input.height, input.width];
            draw.maps(format!("input.{index}"), shape, case.ties);
            if segment.normalization == Normalization::Affine {
                draw.affine([format!("input_gamma.{index}"), format!("input_beta.{index}")], segment.channels);
            }
        }
        for (name, layout) in case.weights() {
            let fan_in: usize = layout.shape().iter().skip(1).product();
            draw.uniform(name, layout.shape(), 1.0 / (fan_in as f64).sqrt());
        }
        match case.operation {
            Kind::Node => draw.uniform("gate", vec![case.segments.len()], 1.0),
            Kind::Head => draw.labels(batch, output.channels),
            _ => {}
        }
        if case.normalization() == Normalization::Affine {
            draw.affine(["gamma".into(), "beta".into()], output.channels);
        }
        if case.operation != Kind::Head {
            draw.uniform("output_gradient", vec![batch, output.channels, output.height, output.width], 1.0);
        }
        Self { case, tensors: draw.tensors }
    }

    /// A given vector.
    pub fn vector<T: Real>(&self, name: &str) -> Vec<T> {
        self.get(name).values.iter_f64().map(T::from_f64).collect()
    }

    /// A given feature map, `[image][row][column][stored channel]`, padding zero.
    pub fn maps<T: Real>(&self, name: &str, channels: &Channels) -> Vec<T> {
        let tensor = self.get(name);
        let (logical, pixels) = (tensor.shape[1], tensor.shape[2] * tensor.shape[3]);
        let mut maps = vec![T::default(); tensor.shape[0] * pixels * channels.stored];
        for (index, value) in tensor.values.iter_f64().enumerate() {
            maps[channels.index(index, logical, pixels)] = T::from_f64(value);
        }
        maps
    }

    pub fn labels(&self) -> Vec<u8> {
        self.vector::<f64>("labels").into_iter().map(|label| label as u8).collect()
    }

    fn get(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("{}: nothing given for {name}", self.case))
    }
}

struct Draw {
    stream: Stream,
    tensors: BTreeMap<String, Tensor>,
}

impl Draw {
    fn new(name: &str) -> Self {
        let seed = name.bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(257).wrapping_add(byte.into()));
        Self { stream: Stream::new(seed, Purpose::InitialWeights, 0, 0), tensors: BTreeMap::new() }
    }

    /// Uniform in -1..1.
    fn number(&mut self) -> f64 {
        2.0 * self.stream.uniform_f64() - 1.0
    }

    /// Numbers of `f32`, which `f64` holds exactly.
    fn insert(&mut self, name: impl Into<String>, shape: Vec<usize>, mut number: impl FnMut(&mut Self, usize) -> f64) {
        let values = (0..shape.iter().product()).map(|index| number(self, index) as f32).collect();
        self.tensors.insert(name.into(), Tensor { shape, values: Values::F32(values) });
    }

    fn uniform(&mut self, name: impl Into<String>, shape: Vec<usize>, scale: f64) {
        self.insert(name, shape, |draw, _| scale * draw.number());
    }

    fn maps(&mut self, name: String, shape: Vec<usize>, ties: bool) {
        let (channels, pixels) = (shape[1], shape[2] * shape[3]);
        let parameters: Vec<[f64; 2]> = (0..channels).map(|_| [self.number(), (0.5 * self.number()).exp()]).collect();
        self.insert(name, shape, |draw, index| {
            let [mean, scale] = parameters[index / pixels % channels];
            if ties { f64::from(draw.stream.bounded(5)) - 2.0 } else { mean + scale * draw.number() }
        });
    }

    fn affine(&mut self, [gamma, beta]: [String; 2], channels: usize) {
        self.insert(gamma, vec![channels], |draw, _| 1.0 + 0.5 * draw.number());
        self.uniform(beta, vec![channels], 0.5);
    }

    fn labels(&mut self, images: usize, classes: usize) {
        self.insert("labels", vec![images], |draw, _| f64::from(draw.stream.bounded(classes as u32)));
    }
}
