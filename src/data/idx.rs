//! The IDX format of MNIST and Fashion-MNIST (Y. LeCun, C. Cortes, C. Burges, "The MNIST database"): big-endian words,
//! magic 2051 + count + rows + columns + pixels for images, 2049 + count + labels for labels.

use std::path::{Path, PathBuf};

use super::compressed::{open, read_error, read_exactly};
use super::dataset::{Dataset, Records};
use super::error::DataError;
use super::shrink::shrunk_shape;
use crate::tensor::Shape;

const IMAGES_MAGIC: u32 = 0x0803;
const LABELS_MAGIC: u32 = 0x0801;
const OF_ANOTHER_KIND: &str = "give the folder of an IDX data set such as MNIST or Fashion-MNIST";

/// Loads `train-{images-idx3,labels-idx1}-ubyte[.gz]` and, if they are there, the two `t10k-...` files of `folder`.
/// The classes are as many as the largest label says.
pub(super) fn load(folder: &Path, block: usize) -> Result<Dataset, DataError> {
    if !folder.is_dir() {
        return Err(match folder.metadata() {
            Ok(_) => DataError::malformed(folder, "it is no folder", OF_ANOTHER_KIND),
            Err(cause) => DataError::unreadable(folder, cause),
        });
    }
    let (shape, training) = load_part(folder, "train", block)?;
    let test_is_there =
        ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"].iter().any(|name| find(folder, name).is_some());
    let test = if test_is_there {
        let (test_shape, test) = load_part(folder, "t10k", block)?;
        if test_shape != shape {
            let problem = format!("its training images are {shape}, its test images {test_shape}");
            return Err(DataError::malformed(folder, problem, "give files of one data set"));
        }
        Some(test)
    } else {
        None
    };
    let largest = training.labels.iter().chain(test.iter().flat_map(|test| &test.labels)).max();
    let classes = largest.map_or(0, |&label| usize::from(label) + 1);
    let name = name_of(folder);
    let shape = shrunk_shape(&name, shape, block)?;
    Dataset::from_records(name, shape, classes, training, test)
}

fn name_of(folder: &Path) -> String {
    folder.file_name().map_or_else(|| "idx".into(), |name| name.to_string_lossy().into_owned())
}

/// Images of a part, shrunk, and the shape that they had.
fn load_part(folder: &Path, part: &str, block: usize) -> Result<(Shape, Records), DataError> {
    let images_path = require(folder, &format!("{part}-images-idx3-ubyte"))?;
    let labels_path = require(folder, &format!("{part}-labels-idx1-ubyte"))?;
    let (dimensions, labels) = read::<1>(&labels_path, LABELS_MAGIC)?;
    let label_count = dimensions[0];
    let ([image_count, height, width], images) = read::<3>(&images_path, IMAGES_MAGIC)?;
    if image_count != label_count {
        let problem = format!("{image_count} images, but {} has {label_count} labels", labels_path.display());
        return Err(DataError::malformed(&images_path, problem, "give files of one data set"));
    }
    let shape = Shape::new(height as usize, width as usize, 1);
    shrunk_shape(&name_of(folder), shape, block)?;
    Ok((shape, Records { images, labels }.shrunk(shape, block)))
}

/// The file `name`, raw or compressed.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    [name.to_owned(), format!("{name}.gz")].iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

fn require(folder: &Path, name: &str) -> Result<PathBuf, DataError> {
    find(folder, name).ok_or_else(|| DataError::Missing {
        path: folder.to_owned(),
        missing: format!("{name} (or {name}.gz)"),
        remedy: OF_ANOTHER_KIND,
    })
}

/// The dimensions of an IDX file of bytes, and its bytes.
fn read<const DIMENSIONS: usize>(path: &Path, magic: u32) -> Result<([u32; DIMENSIONS], Vec<u8>), DataError> {
    let mut content = open(path)?;
    let mut word = || {
        let mut bytes = [0; 4];
        content
            .reader
            .read_exact(&mut bytes)
            .map(|()| u32::from_be_bytes(bytes))
            .map_err(|cause| read_error(path, cause))
    };
    let found = word()?;
    if found != magic {
        let problem = format!("it starts with {found:#010x}, not with {magic:#010x}");
        return Err(DataError::malformed(path, problem, OF_ANOTHER_KIND));
    }
    let mut dimensions = [0; DIMENSIONS];
    for dimension in &mut dimensions {
        *dimension = word()?;
    }
    let sizes = dimensions.map(|size| size.to_string()).join(" x ");
    let expected = dimensions.iter().try_fold(1u64, |product, &size| product.checked_mul(u64::from(size)));
    match expected {
        Some(0) => {
            Err(DataError::malformed(path, format!("its header announces {sizes} values"), "give a file with data"))
        }
        // Refused before anything is read or allocated.
        Some(expected) if expected <= content.largest => {
            Ok((dimensions, read_exactly(&mut content.reader, expected, path)?))
        }
        _ => {
            let problem = format!("its header announces {sizes} values, more than the file can hold");
            Err(DataError::malformed(path, problem, "it is damaged: copy or download it again"))
        }
    }
}
