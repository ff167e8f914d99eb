//! The 1,797 handwritten digits inside the program, so that it can show what it does without a download.

use super::dataset::{Dataset, Records};
use super::error::DataError;
use super::shrink::shrunk_shape;
use crate::tensor::Shape;

/// Records of a label byte and 8x8 pixel bytes in 0..=16; made by `scripts/make_digits.py`.
static RECORDS: &[u8] = include_bytes!("../../assets/digits.bin");
pub(super) static ATTRIBUTION: &str = include_str!("../../assets/digits.txt");

const SHAPE: Shape = Shape::new(8, 8, 1);
const RECORD_BYTES: usize = 1 + SHAPE.pixels();
/// The first 1,437 images train, the last 360 evaluate.
const HELD_OUT: u32 = 360;

const _: () = assert!(RECORDS.len() == 1797 * RECORD_BYTES);

pub(super) fn load(block: usize) -> Result<Dataset, DataError> {
    let shape = shrunk_shape("digits", SHAPE, block)?;
    let mut records = Records::default();
    for record in RECORDS.chunks_exact(RECORD_BYTES) {
        records.labels.push(record[0]);
        records.images.extend_from_slice(&record[1..]);
    }
    Ok(Dataset::from_records("digits", shape, 10, records.shrunk(SHAPE, block), None)?.with_held_out(HELD_OUT))
}
