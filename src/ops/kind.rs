//! What a space file may ask for by name: the kinds of operations, as the folders of the operations describe them.

use super::{Operation, Window};
use crate::tensor::Shape;
use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};
use std::fmt;

/// A kind of operation. Files write its name.
pub struct Kind {
    /// In files.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// Number of weight tensors, and so of their names in a layer.
    pub weights: usize,
    pub window: LayerWindow,
    /// Whether it keeps the channels of its input, and how they are stored; others make as many as the layer says.
    pub keeps_channels: bool,
    /// Whether it has a bias where the space gives one to convolutions before a normalization.
    pub takes_bias: bool,
    pub build: fn(&Place) -> Result<Operation, Unfit>,
}

/// What a layer may say of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerWindow {
    /// An odd kernel, a dilation, a stride.
    Odd,
    /// That, or an even kernel that is the stride: it tiles the input.
    OddOrTiles,
    /// Nothing: its kernel and dilation are 1, its stride is this one.
    Fixed { stride: usize },
}

/// Where an operation stands.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub window: Window,
    pub input: Shape,
    /// Channels that it makes: those of the input where it keeps them.
    pub outputs: usize,
}

impl Place {
    /// What the window makes of the input.
    pub const fn output(&self) -> Shape {
        self.window.output_shape(self.input, self.outputs)
    }
}

/// Why an operation cannot stand at a place, and what to do. The sentence reads after the operation's title and its place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(pub String);

impl Kind {
    /// The kind of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        Self::all().find(|kind| kind.name == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Kind {}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for &'static Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Kind::find(&name).ok_or_else(|| {
            let known: Vec<String> = Kind::all().map(|kind| format!("`{}`", kind.name)).collect();
            D::Error::custom(format!("unknown operation `{name}`, expected one of {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// A place that suits every kind.
    fn operation(kind: &Kind) -> Operation {
        let window = match kind.window {
            LayerWindow::Fixed { stride } => Window::same(1, stride, 1),
            LayerWindow::Odd | LayerWindow::OddOrTiles => Window::same(3, 2, 1),
        };
        let input = Shape::new(8, 6, 12);
        let outputs = if kind.keeps_channels { input.channels } else { 20 };
        (kind.build)(&Place { window, input, outputs }).expect("it fits")
    }

    #[test]
    fn names_differ_and_find_their_kind() {
        let names: HashSet<&str> = Kind::all().map(|kind| kind.name).collect();
        assert_eq!(names.len(), Kind::all().count());
        assert!(Kind::all().all(|kind| Kind::find(kind.name) == Some(kind)));
        assert_eq!(Kind::find("no such kind"), None);
    }

    #[test]
    fn kinds_say_of_their_operations_what_these_are() {
        for kind in Kind::all() {
            let operation = operation(kind);
            let expected = if kind.keeps_channels { 12 } else { 20 };
            assert_eq!(operation.linear().weights().len(), kind.weights, "{kind}");
            assert_eq!(operation.output(), Shape::new(4, 3, expected), "{kind}");
            // Five segments, of which each is padded.
            let stored = if kind.keeps_channels { 40 } else { 24 };
            assert_eq!(operation.linear().stored_outputs(40), stored, "{kind}");
            assert!(operation.linear().flops() > 0, "{kind}");
        }
    }
}
