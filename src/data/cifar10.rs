//! CIFAR-10 in its binary version (A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009): records
//! of one label byte and three 32x32 planes, red, green, blue.

use std::io::Read;
use std::path::Path;

use super::compressed::{Content, open, read_error};
use super::dataset::{Dataset, Records};
use super::error::DataError;
use super::pixels::Normalization;
use super::shrink::shrunk_shape;
use crate::tensor::Shape;

pub(super) const CLASS_NAMES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

const NAME: &str = "cifar10";
const SHAPE: Shape = Shape::new(32, 32, 3);
const RECORD_BYTES: usize = 1 + SHAPE.pixels() * SHAPE.channels;
const TRAINING_FILES: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
const TEST_FILE: &str = "test_batch.bin";
/// The archive's name where it is published.
const ARCHIVE: &str = "cifar-10-binary.tar.gz";
/// The folder inside the archive.
const FOLDER: &str = "cifar-10-batches-bin";
const REMEDY: &str = "give the folder or the .tar.gz of the binary version of CIFAR-10, or one of its .bin files";

/// Mean and standard deviation of the 50,000 training images, as DARTS and the code of "Deeper Insights into Weight
/// Sharing" have them.
fn normalization() -> Normalization {
    Normalization { mean: vec![0.49139968, 0.48215827, 0.44653124], std: vec![0.24703233, 0.24348505, 0.26158768] }
}

/// Of an image whose `block x block` pixels became one.
pub(super) fn shape(block: usize) -> Result<Shape, DataError> {
    shrunk_shape(NAME, SHAPE, block)
}

/// Loads a folder (or the `cifar-10-batches-bin` or the archive in it), the `.tar.gz` as downloaded, or one `.bin` file as training file.
pub(super) fn load(path: &Path, block: usize) -> Result<Dataset, DataError> {
    let shape = shape(block)?;
    let archive = path.join(ARCHIVE);
    let is_unpacked = path.join(FOLDER).is_dir() || path.join(TRAINING_FILES[0]).is_file();
    let path = if archive.is_file() && !is_unpacked { &archive } else { path };
    let (training, test) = if path.is_dir() {
        load_folder(path, block)?
    } else {
        let content = open(path)?;
        if content.compressed {
            load_archive(path, content, block)?
        } else {
            (read_records(path, content.reader, block)?, None)
        }
    };
    let mut set = Dataset::from_records(NAME, shape, CLASS_NAMES.len(), training, test)?;
    if block == 1 {
        set.normalization = normalization();
    }
    Ok(set)
}

fn load_folder(path: &Path, block: usize) -> Result<(Records, Option<Records>), DataError> {
    let inner = path.join(FOLDER);
    let folder = if inner.is_dir() { &inner } else { path };
    let read = |name: &str| {
        let file = folder.join(name);
        if !file.is_file() {
            return Err(DataError::Missing { path: folder.to_owned(), missing: name.into(), remedy: REMEDY });
        }
        read_records(&file, open(&file)?.reader, block)
    };
    let parts = TRAINING_FILES.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok((join(parts), Some(read(TEST_FILE)?)))
}

fn load_archive(path: &Path, mut content: Content, block: usize) -> Result<(Records, Option<Records>), DataError> {
    let failed = |cause| read_error(path, cause);
    let mut training = [const { None }; TRAINING_FILES.len()];
    let mut test = None;
    let mut archive = tar::Archive::new(&mut content.reader);
    for entry in archive.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.path().map_err(failed)?.file_name().map(|name| name.to_string_lossy().into_owned());
        let Some(name) = name.filter(|_| entry.header().entry_type().is_file()) else { continue };
        let slot = match TRAINING_FILES.iter().position(|file| *file == name) {
            Some(number) => &mut training[number],
            None if name == TEST_FILE => &mut test,
            None => continue,
        };
        if slot.is_some() {
            return Err(DataError::malformed(path, format!("it holds {name} twice"), REMEDY));
        }
        *slot = Some(read_records(&path.join(&name), entry, block)?);
    }
    // The checksum stands at the end of the stream.
    std::io::copy(&mut content.reader, &mut std::io::sink()).map_err(failed)?;
    let missing = |name: &str| DataError::Missing { path: path.to_owned(), missing: name.into(), remedy: REMEDY };
    let parts = training.into_iter().zip(TRAINING_FILES).map(|(part, name)| part.ok_or_else(|| missing(name)));
    let training = join(parts.collect::<Result<Vec<_>, _>>()?);
    Ok((training, Some(test.ok_or_else(|| missing(TEST_FILE))?)))
}

/// One after the other; each part is freed as soon as it is copied.
fn join(parts: Vec<Records>) -> Records {
    let mut all = Records::default();
    all.images.reserve_exact(parts.iter().map(|part| part.images.len()).sum());
    for part in parts {
        all.images.extend_from_slice(&part.images);
        all.labels.extend_from_slice(&part.labels);
    }
    all
}

/// Records that are read at a time.
const BLOCK_RECORDS: usize = 256;

/// Reads records to the end, planes turned to interleaved channels, and shrinks the images.
fn read_records(path: &Path, mut reader: impl Read, block: usize) -> Result<Records, DataError> {
    let mut all = Records::default();
    let mut bytes = Vec::with_capacity(BLOCK_RECORDS * RECORD_BYTES);
    loop {
        bytes.clear();
        let most = bytes.capacity() as u64;
        (&mut reader).take(most).read_to_end(&mut bytes).map_err(|cause| read_error(path, cause))?;
        let whole = bytes.len() / RECORD_BYTES * RECORD_BYTES;
        let (count, read) = (all.labels.len(), all.labels.len() * RECORD_BYTES + bytes.len());
        if whole < bytes.len() || read == 0 {
            let problem = format!("its {read} bytes are not a whole number of {RECORD_BYTES}-byte records");
            return Err(DataError::malformed(path, problem, REMEDY));
        }
        if bytes.is_empty() {
            return Ok(all);
        }
        let records = interleaved(&bytes);
        if let Some((place, &label)) = records.labels.iter().enumerate().find(|(_, label)| !is_class(**label)) {
            let image = count + place;
            return Err(DataError::Label { path: path.to_owned(), image, label, classes: CLASS_NAMES.len() });
        }
        let records = records.shrunk(SHAPE, block);
        all.images.extend_from_slice(&records.images);
        all.labels.extend_from_slice(&records.labels);
    }
}

fn is_class(label: u8) -> bool {
    usize::from(label) < CLASS_NAMES.len()
}

/// Whole records, with the channels of a pixel side by side.
fn interleaved(bytes: &[u8]) -> Records {
    let mut records = Records::default();
    for record in bytes.chunks_exact(RECORD_BYTES) {
        let (label, planes) = (record[0], &record[1..]);
        records.labels.push(label);
        let pixel = |pixel: usize| (0..SHAPE.channels).map(move |channel| planes[channel * SHAPE.pixels() + pixel]);
        records.images.extend((0..SHAPE.pixels()).flat_map(pixel));
    }
    records
}
