//! Files that may be gzip-compressed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::DataError;

/// Deflate spends at least two bits on 258 bytes, so no stream expands further than this.
const LARGEST_EXPANSION: u64 = 1032;

/// A file's content, decompressed where its first two bytes say gzip (no format read here starts with them otherwise).
pub(super) struct Content {
    pub reader: Box<dyn Read>,
    pub compressed: bool,
    /// Bytes that `reader` can give at most.
    pub largest: u64,
}

/// # Errors
/// A path that is no readable file.
pub(super) fn open(path: &Path) -> Result<Content, DataError> {
    let unreadable = |cause| DataError::unreadable(path, cause);
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(DataError::malformed(path, "it is no regular file", "give one"));
    }
    let bytes = metadata.len();
    let mut file = BufReader::with_capacity(1 << 17, file);
    let compressed = file.fill_buf().map_err(unreadable)?.starts_with(&[0x1f, 0x8b]);
    Ok(if compressed {
        let reader = Box::new(MultiGzDecoder::new(file));
        Content { reader, compressed, largest: bytes.saturating_mul(LARGEST_EXPANSION) }
    } else {
        Content { reader: Box::new(file), compressed, largest: bytes }
    })
}

/// Reads `expected` bytes and makes sure that nothing follows; memory grows with what is read, not with what is claimed.
///
/// # Errors
/// Fewer bytes, more bytes, a damaged gzip stream.
pub(super) fn read_exactly(reader: &mut dyn Read, expected: u64, path: &Path) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    reader.take(expected.saturating_add(1)).read_to_end(&mut bytes).map_err(|cause| read_error(path, cause))?;
    let found = bytes.len() as u64;
    if found < expected {
        let problem = format!("it ends after {found} of the {expected} bytes that its header announces");
        return Err(DataError::malformed(path, problem, "copy or download it again"));
    }
    if found > expected {
        let problem = format!("more follows the {expected} bytes that its header announces");
        return Err(DataError::malformed(path, problem, "it is damaged or of another kind"));
    }
    Ok(bytes)
}

/// A read that failed: a stream that ends early or does not decompress is damaged, anything else is the system's.
pub(super) fn read_error(path: &Path, cause: std::io::Error) -> DataError {
    use std::io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    match cause.kind() {
        UnexpectedEof => DataError::malformed(path, "it is truncated", "copy or download it again"),
        InvalidData | InvalidInput | Other => {
            DataError::malformed(path, format!("it is damaged ({cause})"), "copy or download it again")
        }
        _ => DataError::unreadable(path, cause),
    }
}
