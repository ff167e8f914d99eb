//! Which data sets can be fetched, from where, and their checksums.

use super::super::Source;
use std::path::Path;

/// A data set at its canonical address.
#[derive(Clone, Copy, Debug)]
pub struct RemoteSet {
    pub name: &'static str,
    /// Address of the folder of its files.
    pub base: &'static str,
    /// The page that describes it.
    pub page: &'static str,
    pub files: &'static [RemoteFile],
    /// What reads the folder.
    pub source: fn(&Path) -> Source,
}

#[derive(Clone, Copy, Debug)]
pub struct RemoteFile {
    pub name: &'static str,
    /// As its publisher states it, in hexadecimal.
    pub md5: &'static str,
}

/// The sets with the checksum of CIFAR-10's page, and for the others those that torchvision's loaders check.
pub fn known_sets() -> &'static [RemoteSet] {
    &[CIFAR10, MNIST, FASHION_MNIST]
}

const CIFAR10: RemoteSet = RemoteSet {
    name: "cifar10",
    base: "https://www.cs.toronto.edu/~kriz",
    page: "https://www.cs.toronto.edu/~kriz/cifar.html",
    files: &[RemoteFile { name: "cifar-10-binary.tar.gz", md5: "c32a1d4ab5d03f1284b67883e8d87530" }],
    source: |folder| Source::Cifar10(folder.to_owned()),
};

const MNIST: RemoteSet = RemoteSet {
    name: "mnist",
    base: "https://ossci-datasets.s3.amazonaws.com/mnist",
    page: "https://github.com/pytorch/vision",
    files: &[
        RemoteFile { name: "train-images-idx3-ubyte.gz", md5: "f68b3c2dcbeaaa9fbdd348bbdeb94873" },
        RemoteFile { name: "train-labels-idx1-ubyte.gz", md5: "d53e105ee54ea40749a09fcbcd1e9432" },
        RemoteFile { name: "t10k-images-idx3-ubyte.gz", md5: "9fb629c4189551a2d022fa330f9573f3" },
        RemoteFile { name: "t10k-labels-idx1-ubyte.gz", md5: "ec29112dd5afa0611ce80d1b7f02629c" },
    ],
    source: |folder| Source::Idx(folder.to_owned()),
};

const FASHION_MNIST: RemoteSet = RemoteSet {
    name: "fashion-mnist",
    base: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    page: "https://github.com/zalandoresearch/fashion-mnist",
    files: &[
        RemoteFile { name: "train-images-idx3-ubyte.gz", md5: "8d4fb7e6c68d591d4c3dfef9ec88bf0d" },
        RemoteFile { name: "train-labels-idx1-ubyte.gz", md5: "25c81989df183df01b3e8a0aad5dffbe" },
        RemoteFile { name: "t10k-images-idx3-ubyte.gz", md5: "bef4ecab320f06d8554ea6380940ec79" },
        RemoteFile { name: "t10k-labels-idx1-ubyte.gz", md5: "bb300cfdad3c16e7a12a480ee83cd310" },
    ],
    source: |folder| Source::Idx(folder.to_owned()),
};
