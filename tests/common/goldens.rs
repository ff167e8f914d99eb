//! PyTorch's golden numbers, and how ours are compared with them.

use crosstalk::tensor::Real;
use crosstalk::tensors::{Tensor, TensorFile, Values, compare};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One golden file: its description and its tensors.
pub struct Golden<T> {
    pub description: T,
    tensors: BTreeMap<String, Tensor>,
}

fn path(name: &str, extension: &str) -> PathBuf {
    super::root().join(format!("tests/goldens/{name}.{extension}"))
}

impl<T: DeserializeOwned> Golden<T> {
    /// `tests/goldens/NAME.json` and `NAME.safetensors`.
    pub fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(path(name, "json")).expect("a golden description");
        let description = serde_json::from_str(&text).expect("a description of this form");
        Self { description, tensors: Golden::tensors(name).tensors }
    }
}

impl Golden<()> {
    /// `tests/goldens/NAME.safetensors`, described elsewhere.
    pub fn tensors(name: &str) -> Self {
        let file = TensorFile::read(&path(name, "safetensors")).expect("golden tensors");
        Self { description: (), tensors: file.tensors }
    }
}

impl<T> Golden<T> {
    pub fn get(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("no golden tensor {name}"))
    }

    /// The values of a tensor, in PyTorch's order.
    pub fn values<R: Real>(&self, name: &str) -> Vec<R> {
        self.get(name).values.iter_f64().map(R::from_f64).collect()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The only value of a tensor.
    pub fn number(&self, name: &str) -> f64 {
        self.values::<f64>(name)[0]
    }

    /// The tensors whose names start with `prefix`, without it.
    pub fn under(&self, prefix: &str) -> BTreeMap<String, Tensor> {
        let strip = |(name, tensor): (&String, &Tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone()));
        self.tensors.iter().filter_map(strip).collect()
    }
}

/// A tensor of f64.
pub fn tensor(shape: Vec<usize>, values: Vec<f64>) -> Tensor {
    Tensor { shape, values: Values::F64(values) }
}

/// Asserts that both hold the same names and shapes, and that each error, as the design measures it
/// (`||a - b|| / max(||b||, 1e-6 ||all||)`), is within `tolerance`. Returns the largest error.
pub fn assert_close(
    label: &str,
    found: BTreeMap<String, Tensor>,
    expected: BTreeMap<String, Tensor>,
    tolerance: f64,
) -> f64 {
    assert!(!expected.is_empty(), "{label}: nothing to compare with");
    let file = |tensors| TensorFile { tensors, ..TensorFile::default() };
    let comparison = compare(&file(found), &file(expected));
    let worst = comparison.differences.iter().max_by(|a, b| a.relative_error.total_cmp(&b.relative_error));
    let worst = worst.map(|difference| (difference.relative_error, difference.name.as_str()));
    assert!(comparison.agrees_within(tolerance), "{label}: worst {worst:?} of {tolerance:e}\n{comparison:#?}");
    worst.map_or(0.0, |(error, _)| error)
}
