//! Reading `.safetensors`: a header length (u64, little-endian), a JSON header, then the values.

use super::{Tensor, TensorError, TensorFile, Values};
use crate::files::FileError;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

const LENGTH_BYTES: usize = 8;

/// Longest header that the format allows.
const MOST_HEADER_BYTES: u64 = 100_000_000;

impl TensorFile {
    /// Reads a whole file; F16 and BF16 are widened to F32.
    ///
    /// # Errors
    ///
    /// Names the file, and the tensor where one is at fault: not readable, truncated, not of this format, or a number type other than
    /// F32, F64, F16, BF16 and I64.
    pub fn read(path: &Path) -> Result<Self, TensorError> {
        let bytes = read_plausible(path)?;
        let not_safetensors = |error: SafeTensorError| TensorError::NotSafetensors {
            path: path.to_path_buf(),
            reason: match error {
                SafeTensorError::MetadataIncompleteBuffer => format!(
                    "its header does not describe the {} bytes that it has (the end may be missing)",
                    bytes.len()
                ),
                other => other.to_string(),
            },
        };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(not_safetensors)?;
        let metadata = header.metadata().iter().flatten().map(|(key, text)| (key.clone(), text.clone())).collect();
        let mut tensors = BTreeMap::new();
        for (name, view) in SafeTensors::deserialize(&bytes).map_err(not_safetensors)?.iter() {
            let values = values_of(&view).ok_or_else(|| TensorError::UnsupportedDtype {
                path: path.to_path_buf(),
                name: name.to_string(),
                dtype: view.dtype().to_string(),
            })?;
            tensors.insert(name.to_string(), Tensor { shape: view.shape().to_vec(), values });
        }
        Ok(Self { metadata, tensors })
    }
}

/// The bytes of a file whose first eight bytes fit its length, so that a large file of another kind is refused without reading it.
fn read_plausible(path: &Path) -> Result<Vec<u8>, TensorError> {
    let failed = |cause| FileError::new("read", path, cause);
    let mut file = File::open(path).map_err(failed)?;
    let file_bytes = file.metadata().map_err(failed)?.len();
    let mut bytes = Vec::new();
    file.by_ref().take(LENGTH_BYTES as u64).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\x80\x02") {
        return Err(TensorError::PyTorchArchive { path: path.to_path_buf() });
    }
    let not_safetensors = |reason| TensorError::NotSafetensors { path: path.to_path_buf(), reason };
    let length: [u8; LENGTH_BYTES] = bytes
        .as_slice()
        .try_into()
        .map_err(|_| not_safetensors(format!("it has {file_bytes} bytes, fewer than the shortest header")))?;
    let header_bytes = u64::from_le_bytes(length);
    if header_bytes > MOST_HEADER_BYTES {
        return Err(TensorError::OtherFormat { path: path.to_path_buf() });
    }
    if header_bytes > file_bytes.saturating_sub(LENGTH_BYTES as u64) {
        return Err(not_safetensors(format!("it has {file_bytes} bytes, fewer than the {header_bytes} of its header")));
    }
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// `None` for a number type that is not kept.
fn values_of(view: &TensorView<'_>) -> Option<Values> {
    let bytes = view.data();
    match view.dtype() {
        Dtype::F32 => Some(Values::F32(numbers(bytes, f32::from_le_bytes))),
        Dtype::F64 => Some(Values::F64(numbers(bytes, f64::from_le_bytes))),
        Dtype::I64 => Some(Values::I64(numbers(bytes, i64::from_le_bytes))),
        Dtype::F16 => Some(Values::F32(numbers(bytes, |pair| f16::from_le_bytes(pair).to_f32()))),
        Dtype::BF16 => Some(Values::F32(numbers(bytes, |pair| bf16::from_le_bytes(pair).to_f32()))),
        _ => None,
    }
}

fn numbers<const BYTES: usize, T>(bytes: &[u8], number: impl Fn([u8; BYTES]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<BYTES>();
    chunks.iter().map(|&chunk| number(chunk)).collect()
}
