//! A file that is on its way: `NAME.part` beside its place, with the checksum of what has arrived.

use crate::files::{FileError, remove_file, rename_durably};
use md5::{Digest, Md5};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Bytes read or written at a time.
pub const BLOCK: usize = 1 << 16;

pub struct Part {
    pub path: PathBuf,
    file: File,
    digest: Md5,
    pub length: u64,
}

impl Part {
    /// Goes on with the part of `place`, or begins it.
    pub fn open(place: &Path) -> Result<Self, FileError> {
        let mut name = place.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        let failed = |cause| FileError::new("write", &path, cause);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        // Reading to the end leaves the file where it goes on.
        let (digest, length) = digest_of(&mut file).map_err(failed)?;
        Ok(Self { path, file, digest, length })
    }

    /// Forgets what has arrived.
    pub fn restart(&mut self) -> Result<(), FileError> {
        if self.length == 0 {
            return Ok(());
        }
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(|cause| self.failed(cause))?;
        (self.digest, self.length) = (Md5::new(), 0);
        Ok(())
    }

    pub fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write_all(bytes).map_err(|cause| self.failed(cause))?;
        self.digest.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Of all that has arrived.
    pub fn md5(&self) -> String {
        hexadecimal(self.digest.clone())
    }

    /// Gives the complete file its name, for good.
    pub fn put_in_place(self, place: &Path) -> Result<(), FileError> {
        self.file.sync_all().map_err(|cause| self.failed(cause))?;
        rename_durably(&self.path, place)
    }

    /// Removes what has arrived.
    pub fn discard(self) -> Result<(), FileError> {
        remove_file(&self.path)
    }

    fn failed(&self, cause: io::Error) -> FileError {
        FileError::new("write", &self.path, cause)
    }
}

/// The checksum of a file that is there.
pub fn md5_of(path: &Path) -> Result<String, FileError> {
    let digest = File::open(path).and_then(|mut file| digest_of(&mut file));
    digest.map(|(digest, _)| hexadecimal(digest)).map_err(|cause| FileError::new("read", path, cause))
}

/// Checksum and number of the bytes that the file holds when this is called; the file is left at their end.
fn digest_of(file: &mut File) -> io::Result<(Md5, u64)> {
    let size = file.metadata()?.len();
    let mut bytes = BufReader::with_capacity(BLOCK, file.take(size));
    let (mut digest, mut length) = (Md5::new(), 0);
    loop {
        let block = bytes.fill_buf()?;
        if block.is_empty() {
            return Ok((digest, length));
        }
        digest.update(block);
        let read = block.len();
        length += read as u64;
        bytes.consume(read);
    }
}

fn hexadecimal(digest: Md5) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
