//! A tensor in memory, and a file's worth of them.

use std::collections::BTreeMap;

/// What a `.safetensors` file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorFile {
    /// Free text by key.
    pub metadata: BTreeMap<String, String>,
    pub tensors: BTreeMap<String, Tensor>,
}

/// Values in row-major order: the last dimension is contiguous. An empty shape is a scalar.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub values: Values,
}

/// The number types that are kept; F16 and BF16 become F32 when they are read.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I64(Vec<i64>),
}

impl Tensor {
    /// The shape as `[3, 3, 16]`.
    pub fn shape_text(&self) -> String {
        format!("{:?}", self.shape)
    }
}

impl Values {
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::I64(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number type as `.safetensors` writes it.
    pub fn dtype(&self) -> &'static str {
        match self {
            Self::F32(_) => "F32",
            Self::F64(_) => "F64",
            Self::I64(_) => "I64",
        }
    }

    /// Bytes of one value.
    pub fn value_bytes(&self) -> usize {
        match self {
            Self::F32(_) => 4,
            Self::F64(_) | Self::I64(_) => 8,
        }
    }

    /// The values in order; integers above 2^53 are rounded.
    pub fn iter_f64(&self) -> Box<dyn Iterator<Item = f64> + '_> {
        match self {
            Self::F32(values) => Box::new(values.iter().map(|&value| f64::from(value))),
            Self::F64(values) => Box::new(values.iter().copied()),
            Self::I64(values) => Box::new(values.iter().map(|&value| value as f64)),
        }
    }
}
