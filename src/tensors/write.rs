//! Writing `.safetensors`. The header is made here, because the bytes shall depend on the content alone: metadata by key, 8-byte
//! numbers before 4-byte ones (so that all are aligned), tensors by name.

use super::{Tensor, TensorError, TensorFile, Values};
use crate::files::write_atomically;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Name under which the format keeps free text; no tensor can have it.
const METADATA_NAME: &str = "__metadata__";

/// The format aligns the values to this.
const ALIGNMENT_BYTES: usize = 8;

#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Metadata(&'a BTreeMap<String, String>),
    Tensor { dtype: &'a str, shape: &'a [usize], data_offsets: [usize; 2] },
}

impl TensorFile {
    /// Writes the file durably (`files::write_atomically`); equal content gives equal bytes.
    ///
    /// # Errors
    ///
    /// Names the file, and the tensor where a shape does not fit its number of values or a name is reserved.
    pub fn write(&self, path: &Path) -> Result<(), TensorError> {
        let mut order: Vec<(&String, &Tensor)> = self.tensors.iter().collect();
        for (name, tensor) in &order {
            check(name, tensor).map_err(|reason| TensorError::NotWritable {
                path: path.to_path_buf(),
                name: (*name).clone(),
                reason,
            })?;
        }
        // Stable, so that tensors of one size stay in the order of their names.
        order.sort_by_key(|(_, tensor)| std::cmp::Reverse(tensor.values.value_bytes()));
        Ok(write_atomically(path, |writer| {
            let header = header(self, &order)?;
            writer.write_all(&(header.len() as u64).to_le_bytes())?;
            writer.write_all(header.as_bytes())?;
            order.iter().try_for_each(|(_, tensor)| write_values(writer, &tensor.values))
        })?)
    }
}

fn check(name: &str, tensor: &Tensor) -> Result<(), String> {
    if name == METADATA_NAME {
        return Err("the format reserves this name; rename the tensor".to_string());
    }
    let (shape, values) = (tensor.shape_text(), tensor.values.len());
    match tensor.shape.iter().try_fold(1_usize, |product, &extent| product.checked_mul(extent)) {
        Some(expected) if expected == values => Ok(()),
        _ => Err(format!("the shape {shape} does not fit its {values} values; give as many values as the shape has")),
    }
}

fn header(file: &TensorFile, order: &[(&String, &Tensor)]) -> io::Result<String> {
    let mut offset = 0;
    let mut entries = BTreeMap::new();
    if !file.metadata.is_empty() {
        entries.insert(METADATA_NAME, Entry::Metadata(&file.metadata));
    }
    for (name, tensor) in order {
        let (dtype, shape) = (tensor.values.dtype(), tensor.shape.as_slice());
        let end = offset + tensor.values.len() * tensor.values.value_bytes();
        entries.insert(name.as_str(), Entry::Tensor { dtype, shape, data_offsets: [offset, end] });
        offset = end;
    }
    let mut text = serde_json::to_string(&entries)?;
    text.extend(std::iter::repeat_n(' ', text.len().next_multiple_of(ALIGNMENT_BYTES) - text.len()));
    Ok(text)
}

fn write_values(writer: &mut BufWriter<File>, values: &Values) -> io::Result<()> {
    match values {
        Values::F32(values) => values.iter().try_for_each(|value| writer.write_all(&value.to_le_bytes())),
        Values::F64(values) => values.iter().try_for_each(|value| writer.write_all(&value.to_le_bytes())),
        Values::I64(values) => values.iter().try_for_each(|value| writer.write_all(&value.to_le_bytes())),
    }
}
