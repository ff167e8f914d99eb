//! The cases of `tests/goldens/stages.json` (described in `tests/pytorch/stages.py`), and the way between PyTorch's layout and ours.

use crate::common::goldens::{Golden, tensor};
use crosstalk::network::{Layout, Segments};
use crosstalk::ops::{Convolution, DepthwiseSeparable, Pool, PoolKind, Window};
use crosstalk::tensor::{Real, Shape};
use crosstalk::tensors::{Tensor, Values};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Convolution,
    DepthwiseSeparable,
    MaxPool,
    AveragePool,
    Node,
    Head,
}

#[derive(Deserialize)]
pub struct SegmentDescription {
    pub channels: usize,
    pub normalize: bool,
    pub affine: bool,
}

#[derive(Deserialize)]
pub struct Case {
    pub name: String,
    pub operation: Kind,
    pub batch: usize,
    height: usize,
    width: usize,
    pub segments: Vec<SegmentDescription>,
    pub relu: bool,
    #[serde(flatten)]
    window: Option<WindowDescription>,
    pub output_channels: usize,
    #[serde(default)]
    pub normalize_output: bool,
    #[serde(default)]
    pub affine_output: bool,
    pub epsilon: f64,
}

#[derive(Clone, Copy, Deserialize)]
struct WindowDescription {
    kernel: usize,
    stride: usize,
    dilation: usize,
    padding: usize,
}

#[derive(Deserialize)]
pub struct Stages {
    pub cases: Vec<Case>,
}

impl Case {
    /// Whether the input is an image: nobody wants its gradient, and it is stored with other padding.
    pub fn is_image(&self) -> bool {
        self.name.ends_with("_image")
    }

    pub fn window(&self) -> Window {
        let WindowDescription { kernel, stride, dilation, padding } = self.window.expect("an operation with a window");
        Window { kernel, stride, dilation, padding }
    }

    /// Shape of the concatenated input.
    pub fn input(&self) -> Shape {
        Shape::new(self.height, self.width, self.segments.iter().map(|segment| segment.channels).sum())
    }

    pub fn output(&self) -> Shape {
        match self.operation {
            Kind::Node => Shape { channels: self.output_channels, ..self.input() },
            Kind::Head => Shape::new(1, 1, self.output_channels),
            _ => self.window().output_shape(self.input(), self.output_channels),
        }
    }

    pub fn convolution(&self) -> Convolution {
        Convolution { window: self.window(), input: self.input(), output: self.output() }
    }

    pub fn depthwise_separable(&self) -> DepthwiseSeparable {
        DepthwiseSeparable { window: self.window(), input: self.input(), output: self.output() }
    }

    pub fn pool(&self) -> Pool {
        let kind = if self.operation == Kind::MaxPool { PoolKind::Max } else { PoolKind::Average };
        Pool { kind, window: self.window(), input: self.input(), output: self.output() }
    }

    /// The stage's weights by golden name, with their places in a bank whose input channels are padded as `inputs` says.
    pub fn weights(&self, inputs: Segments) -> Vec<(&'static str, Layout)> {
        let outputs = self.output_channels;
        match self.operation {
            Kind::Convolution => {
                vec![("weight.0", Layout::Convolution { outputs, inputs, kernel: self.window().kernel })]
            }
            Kind::DepthwiseSeparable => {
                let depthwise = Layout::Depthwise { channels: inputs.clone(), kernel: self.window().kernel };
                vec![("weight.0", depthwise), ("weight.1", Layout::Convolution { outputs, inputs, kernel: 1 })]
            }
            Kind::Head => vec![("weight.0", Layout::Linear { outputs, inputs }), ("bias", Layout::Plain(outputs))],
            Kind::MaxPool | Kind::AveragePool | Kind::Node => Vec::new(),
        }
    }
}

/// Where the channels of a stored pixel lie.
pub struct Channels {
    pub stored: usize,
    pub positions: Vec<usize>,
}

impl Channels {
    /// Without padding.
    pub fn plain(count: usize) -> Self {
        Self { stored: count, positions: (0..count).collect() }
    }

    pub fn padded(segments: &Segments) -> Self {
        Self { stored: segments.physical(), positions: segments.positions() }
    }

    /// Place in `[image][pixel][stored channel]` of a number that lies at `index` in `[image][channel][pixel]`.
    fn index(&self, index: usize, logical: usize, pixels: usize) -> usize {
        let (image, channel, pixel) = (index / pixels / logical, index / pixels % logical, index % pixels);
        (image * pixels + pixel) * self.stored + self.positions[channel]
    }
}

/// What a case gives, as an implementation wants it.
pub struct Given<'a> {
    pub case: &'a Case,
    pub golden: &'a Golden<Stages>,
}

impl Given<'_> {
    /// A given vector.
    pub fn vector<T: Real>(&self, name: &str) -> Vec<T> {
        self.golden.values(&format!("{}/{name}", self.case.name))
    }

    /// A given feature map, `[image][row][column][stored channel]`, padding zero.
    pub fn maps<T: Real>(&self, name: &str, channels: &Channels) -> Vec<T> {
        let tensor = self.golden.get(&format!("{}/{name}", self.case.name));
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
}

/// `weight_gradient.0` of `weight.0`.
pub fn gradient_name(name: &str) -> String {
    match name.split_once('.') {
        Some((base, index)) => format!("{base}_gradient.{index}"),
        None => format!("{name}_gradient"),
    }
}

/// What an implementation computed, under the names and in the layout of the golden tensors.
#[derive(Default)]
pub struct Found(pub BTreeMap<String, Tensor>);

impl Found {
    pub fn insert(&mut self, name: impl Into<String>, shape: Vec<usize>, values: impl IntoIterator<Item = f64>) {
        self.0.insert(name.into(), tensor(shape, values.into_iter().collect()));
    }

    /// One number a channel.
    pub fn vector<T: Real>(&mut self, name: impl Into<String>, channels: &Channels, values: &[T]) {
        let logical = channels.positions.iter().map(|at| values[*at].to_f64());
        self.insert(name, vec![channels.positions.len()], logical);
    }

    /// A feature map; `shape` gives its height and width.
    pub fn maps<T: Real>(&mut self, name: impl Into<String>, shape: Shape, channels: &Channels, values: &[T]) {
        let (logical, pixels) = (channels.positions.len(), shape.pixels());
        let images = values.len() / pixels / channels.stored;
        let dimensions = vec![images, logical, shape.height, shape.width];
        let at = |index: usize| values[channels.index(index, logical, pixels)].to_f64();
        self.insert(name, dimensions, (0..images * logical * pixels).map(at));
    }

    /// The gradient of a parameter, from its place in a bank.
    pub fn parameter<T: Real>(&mut self, name: &str, layout: &Layout, bank: &[T]) {
        self.insert(
            gradient_name(name),
            layout.shape(),
            layout.bank_positions().into_iter().map(|at| bank[at].to_f64()),
        );
    }

    pub fn correct(&mut self, correct: usize) {
        self.0.insert("correct".into(), Tensor { shape: vec![1], values: Values::I64(vec![correct as i64]) });
    }
}
