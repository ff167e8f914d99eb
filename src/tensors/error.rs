//! What can be wrong with a `.safetensors` file.

use crate::files::FileError;
use std::path::PathBuf;

/// A file of tensors that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TensorError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(
        "{path} is a PyTorch pickle or zip archive, not a .safetensors file; \
         convert it with safetensors.torch.save_file(state_dict, ...)", path = .path.display()
    )]
    PyTorchArchive { path: PathBuf },
    #[error("{path} is no .safetensors file; name one, such as replica-0.safetensors of a checkpoint", path = .path.display())]
    OtherFormat { path: PathBuf },
    #[error("{path} is truncated or not a .safetensors file: {reason}; copy or export it again", path = .path.display())]
    NotSafetensors { path: PathBuf, reason: String },
    #[error(
        "tensor `{name}` of {path} has the number type {dtype}, which is not read; \
         convert it to F32, F64, F16, BF16 or I64", path = .path.display()
    )]
    UnsupportedDtype { path: PathBuf, name: String, dtype: String },
    #[error("tensor `{name}` cannot be written to {path}: {reason}", path = .path.display())]
    NotWritable { path: PathBuf, name: String, reason: String },
}
