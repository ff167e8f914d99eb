//! The table of cases, `tests/cases.toml`: single stages by their shapes.

use crosstalk::network::{Layout, Segments};
use crosstalk::ops::{self, LayerWindow, Operation, Window};
use crosstalk::tensor::Shape;
use serde::Deserialize;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Kind {
    /// By the name that space files use.
    Linear(&'static ops::Kind),
    Node,
    Head,
}

impl TryFrom<String> for Kind {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match name.as_str() {
            "node" => Ok(Self::Node),
            "head" => Ok(Self::Head),
            _ => ops::Kind::find(&name).map(Self::Linear).ok_or_else(|| format!("{name:?} is no operation")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    #[default]
    Plain,
    Affine,
    None,
}

/// One of the concatenated inputs; without a normalization it is read as it is stored.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Segment {
    pub channels: usize,
    pub normalization: Normalization,
}

impl TryFrom<String> for Segment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (channels, normalization) = match text.split_once(' ') {
            None => (text.as_str(), Normalization::Plain),
            Some((channels, "affine")) => (channels, Normalization::Affine),
            Some((channels, "stored")) => (channels, Normalization::None),
            Some(_) => return Err(format!("{text:?} is no segment")),
        };
        let channels = channels.parse().map_err(|error| format!("{text:?} is no segment: {error}"))?;
        Ok(Self { channels, normalization })
    }
}

/// One line of the table; the head of the file describes its columns.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    pub operation: Kind,
    #[serde(default = "three")]
    pub batch: usize,
    size: [usize; 2],
    pub segments: Vec<Segment>,
    #[serde(default)]
    pub relu: bool,
    #[serde(default = "one")]
    kernel: usize,
    #[serde(default = "one")]
    stride: usize,
    #[serde(default = "one")]
    dilation: usize,
    padding: Option<usize>,
    outputs: usize,
    #[serde(default)]
    normalization: Normalization,
    #[serde(default)]
    pub image: bool,
    #[serde(default)]
    pub ties: bool,
    #[serde(default)]
    pub pytorch: bool,
    #[allow(dead_code, reason = "the benches read it")]
    #[serde(default)]
    pub bench: bool,
    /// Of all its normalizations.
    #[serde(skip)]
    pub epsilon: f64,
}

fn one() -> usize {
    1
}

fn three() -> usize {
    3
}

/// All cases, in the table's order.
pub fn table() -> Vec<Case> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        epsilon: f64,
        cases: Vec<Case>,
    }
    let text = include_str!("../cases.toml");
    let Table { epsilon, cases } = toml::from_str(text).expect("a table of this form");
    cases.into_iter().map(|case| Case { epsilon, ..case }).collect()
}

impl Case {
    pub fn window(&self) -> Window {
        let Self { kernel, stride, dilation, .. } = *self;
        let stride = match self.operation {
            Kind::Linear(ops::Kind { window: LayerWindow::Fixed { stride }, .. }) => *stride,
            _ => stride,
        };
        Window { padding: self.padding.unwrap_or(dilation * (kernel / 2)), kernel, stride, dilation }
    }

    /// Shape of the concatenated input.
    pub fn input(&self) -> Shape {
        Shape::new(self.size[0], self.size[1], self.segments.iter().map(|segment| segment.channels).sum())
    }

    /// A head's channels are its classes.
    pub fn output(&self) -> Shape {
        match self.operation {
            Kind::Linear(_) => self.window().output_shape(self.input(), self.outputs),
            Kind::Node => Shape { channels: self.outputs, ..self.input() },
            Kind::Head => Shape::new(1, 1, self.outputs),
        }
    }

    /// What follows the operation; `None` for nodes and heads.
    pub fn normalization(&self) -> Normalization {
        match self.operation {
            Kind::Linear(_) => self.normalization,
            Kind::Node | Kind::Head => Normalization::None,
        }
    }

    /// The stage's operation, of which nodes and heads have none.
    pub fn linear(&self) -> Option<Operation> {
        let Kind::Linear(kind) = self.operation else { return None };
        let place = ops::Place { window: self.window(), input: self.input(), outputs: self.outputs };
        Some((kind.build)(&place).unwrap_or_else(|problem| panic!("{self}: it {problem}")))
    }

    /// How the concatenated input is stored.
    pub fn stored_input(&self) -> Segments {
        match self.image {
            true => Segments::image(self.input().channels),
            false => Segments::features(self.segments.iter().map(|segment| segment.channels).collect()),
        }
    }

    /// How the output is stored: a pool keeps the padding of its segments.
    pub fn stored_output(&self) -> Segments {
        match self.operation {
            Kind::Linear(kind) if kind.keeps_channels => self.stored_input(),
            _ => Segments::features(vec![self.outputs]),
        }
    }

    /// The stage's weights by golden name, with their places in a bank.
    pub fn weights(&self) -> Vec<(&'static str, Layout)> {
        let (inputs, outputs) = (self.stored_input(), self.outputs);
        match self.operation {
            Kind::Head => vec![("weight.0", Layout::Linear { outputs, inputs }), ("bias", Layout::Plain(outputs))],
            _ => {
                let shapes = self.linear().map_or_else(Vec::new, |operation| operation.linear().weights());
                let layouts = shapes.iter().map(|shape| Layout::of_weight(shape, inputs.clone()));
                ["weight.0", "weight.1"].into_iter().zip(layouts).collect()
            }
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
