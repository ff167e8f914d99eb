//! The bytes of a journal: a header that states the columns, then frames of rows.
//!
//! | part of a frame | bytes |
//! | --- | --- |
//! | length of the rows' encoding, number of rows | u32 and u32, little-endian |
//! | rows | as `Record::encode` writes them |
//! | checksum | first 8 bytes of BLAKE3 over the frame's offset in the file (u64) and all of the above |
//!
//! A process that is killed, or a machine that loses power, leaves a last frame that is short or fails its checksum. The offset makes a
//! frame of an earlier content of the same disk blocks fail too.

use super::{Cell, Record};

/// Rows of a frame at most, so that a length fits its 32 bits.
const FRAME_ROWS: usize = 1 << 12;

const CHECKSUM_BYTES: usize = 8;

/// The rows of a journal's bytes.
#[derive(Debug, PartialEq)]
pub struct Frames<R> {
    pub rows: Vec<R>,
    /// Bytes of the header and of the frames that are whole. What follows is a torn tail.
    pub whole_bytes: usize,
}

/// Starts a journal of `R`: a line with the version, a line with the columns.
pub fn header<R: Record>() -> Vec<u8> {
    let columns: Vec<String> =
        R::columns().iter().map(|column| format!("{}:{}", column.name, column.journal_type)).collect();
    format!("crosstalk journal 1\n{}\n", columns.join(" ")).into_bytes()
}

/// Appends `rows` to `journal`, whose first byte lies at `offset` of the file.
pub fn append_frames<R: Record>(journal: &mut Vec<u8>, offset: u64, rows: &[R]) {
    for rows in rows.chunks(FRAME_ROWS) {
        let start = journal.len();
        journal.extend([0; 8]);
        rows.iter().for_each(|row| row.encode(journal));
        let length = (journal.len() - start - 8) as u32;
        journal[start..start + 4].copy_from_slice(&length.to_le_bytes());
        journal[start + 4..start + 8].copy_from_slice(&(rows.len() as u32).to_le_bytes());
        let checksum = checksum(offset + start as u64, &journal[start..]);
        journal.extend(checksum);
    }
}

/// The whole frames of a journal; `None` if it does not start with the header of `R`.
pub fn read_frames<R: Record>(journal: &[u8]) -> Option<Frames<R>> {
    let header = header::<R>();
    let mut rest = journal.strip_prefix(header.as_slice())?;
    let mut frames = Frames { rows: Vec::new(), whole_bytes: header.len() };
    while let Some((rows, after)) = take_frame(rest, frames.whole_bytes as u64) {
        frames.rows.extend(rows);
        frames.whole_bytes = journal.len() - after.len();
        rest = after;
    }
    Some(frames)
}

/// The first frame's rows and the bytes after it; `None` if it is not whole.
fn take_frame<R: Record>(bytes: &[u8], offset: u64) -> Option<(Vec<R>, &[u8])> {
    let mut lengths = bytes;
    let (length, row_count) = (u32::decode(&mut lengths)? as usize, u32::decode(&mut lengths)?);
    let (frame, after) = bytes.split_at_checked(8 + length)?;
    let (found, after) = after.split_at_checked(CHECKSUM_BYTES)?;
    if found != checksum(offset, frame) {
        return None;
    }
    let mut encoded = &frame[8..];
    let rows = (0..row_count).map(|_| R::decode(&mut encoded)).collect::<Option<Vec<R>>>()?;
    encoded.is_empty().then_some((rows, after))
}

fn checksum(offset: u64, frame: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut first = [0; CHECKSUM_BYTES];
    blake3::Hasher::new().update(&offset.to_le_bytes()).update(frame).finalize_xof().fill(&mut first);
    first
}
