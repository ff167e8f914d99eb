//! Where a data set comes from, as written on the command line and in configurations.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{DataError, Dataset, cifar10, digits, idx};
use crate::tensor::Shape;

/// `digits`, `cifar10:PATH` or `idx:FOLDER`; a string in configurations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    /// The digits inside the program.
    Digits,
    /// CIFAR-10, binary version: a folder, unpacked or with the `.tar.gz` in it, the `.tar.gz` as downloaded, or one `.bin` file.
    Cifar10(PathBuf),
    /// A folder of IDX files: MNIST, Fashion-MNIST.
    Idx(PathBuf),
}

impl Source {
    /// Reads the whole set into memory and checks it.
    ///
    /// # Errors
    /// Files that are missing, unreadable, truncated, or not what they claim.
    pub fn load(&self) -> Result<Dataset, DataError> {
        self.load_shrunk(1)
    }

    /// As [`Source::load`]; every `block x block` pixels become one, file by file, so that the set as it is never lies in memory. Pixels are
    /// then normalized by the statistics of the smaller training images.
    ///
    /// # Errors
    /// Also a block of 0, or one that does not divide the images' height and width.
    pub fn load_shrunk(&self, block: usize) -> Result<Dataset, DataError> {
        match self {
            Self::Digits => digits::load(block),
            Self::Cifar10(path) => cifar10::load(path, block),
            Self::Idx(folder) => idx::load(folder, block),
        }
    }

    /// Shape of an image, and the number of classes. Files are read only where the format leaves them open.
    ///
    /// # Errors
    /// As [`Source::load_shrunk`].
    pub fn images(&self, block: usize) -> Result<(Shape, usize), DataError> {
        if let Self::Cifar10(_) = self {
            return Ok((cifar10::shape(block)?, cifar10::CLASS_NAMES.len()));
        }
        let set = self.load_shrunk(block)?;
        Ok((Shape::new(set.height, set.width, set.channels), set.classes))
    }

    /// Names of the classes, where the format has them.
    pub fn class_names(&self) -> Option<&'static [&'static str]> {
        match self {
            Self::Cifar10(_) => Some(&cifar10::CLASS_NAMES),
            Self::Digits | Self::Idx(_) => None,
        }
    }

    /// Origin and licence, as far as they are known.
    pub fn attribution(&self) -> &'static str {
        match self {
            Self::Digits => digits::ATTRIBUTION,
            Self::Cifar10(_) => {
                "A. Krizhevsky, \"Learning Multiple Layers of Features from Tiny Images\", 2009; its page names no licence."
            }
            Self::Idx(_) => {
                "IDX files name neither origin nor licence. MNIST: Y. LeCun, C. Cortes, C. Burges. Fashion-MNIST: \
                 Zalando SE, MIT licence."
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digits => f.write_str("digits"),
            Self::Cifar10(path) => write!(f, "cifar10:{}", path.display()),
            Self::Idx(folder) => write!(f, "idx:{}", folder.display()),
        }
    }
}

impl FromStr for Source {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text.split_once(':') {
            None if text == "digits" => Ok(Self::Digits),
            Some(("cifar10", path)) if !path.is_empty() => Ok(Self::Cifar10(path.into())),
            Some(("idx", folder)) if !folder.is_empty() => Ok(Self::Idx(folder.into())),
            _ => Err(DataError::UnknownSource(text.into())),
        }
    }
}

impl TryFrom<String> for Source {
    type Error = DataError;

    fn try_from(text: String) -> Result<Self, DataError> {
        text.parse()
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.to_string()
    }
}
