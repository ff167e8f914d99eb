//! Data sets on disk: what is read, and which sentence a damaged file gives.

use std::fs;
use std::io::Write;
use std::path::Path;

use crosstalk::data::{DataError, Dataset, Normalization, Source};
use flate2::{Compression, write::GzEncoder};
use tempfile::TempDir;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn load(kind: &str, path: &Path) -> Result<Dataset, DataError> {
    format!("{kind}:{}", path.display()).parse::<Source>()?.load()
}

/// The error of loading, which must be one sentence that names a path in `path` and says `expected`.
fn failure(kind: &str, path: &Path, expected: &str) {
    let message = load(kind, path).expect_err(expected).to_string();
    assert!(message.contains(expected), "`{expected}` is not in: {message}");
    assert!(message.contains(&path.display().to_string()), "no path in: {message}");
    assert!(!message.contains('\n'), "{message}");
}

#[test]
fn the_digits_are_those_of_uci_and_normalized_by_their_training_part() {
    let digits = Source::Digits.load().unwrap();
    assert_eq!((digits.height, digits.width, digits.channels, digits.classes), (8, 8, 1, 10));
    assert_eq!((digits.len(), digits.training_file, digits.held_out, digits.test_file()), (1797, 1797, 360, None));
    assert_eq!(digits.labels[..12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    assert_eq!(digits.image(0)[..16], [0, 0, 5, 13, 9, 1, 0, 0, 0, 0, 13, 15, 10, 15, 5, 0]);
    assert_eq!(digits.images.iter().max(), Some(&16));
    assert_eq!(digits.class_counts(0..1797), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    // NumPy: x = load_digits().data[:1437] / 255; x.mean(), x.std().
    assert!((digits.normalization.mean[0] - 0.01916148157244805).abs() < 1e-15);
    assert!((digits.normalization.std[0] - 0.023561230358008348).abs() < 1e-15);
}

#[test]
fn sources_are_written_as_they_are_read_and_others_are_refused() {
    for text in ["digits", "cifar10:some/where", "idx:C:folder"] {
        assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
    }
    for text in ["", "digit", "digits:", "digits:x", "cifar10", "cifar10:", "idx", "idx:", "cifar100:x", "/tmp"] {
        let message = text.parse::<Source>().unwrap_err().to_string();
        assert!(message.contains(&format!("`{text}`")) && message.contains("crosstalk data list"), "{message}");
    }
}

/// Record number `n` of a CIFAR file: label n mod 10, and planes that tell channel and pixel apart.
fn cifar_record(n: usize) -> Vec<u8> {
    let plane = |channel: usize| (0..1024).map(move |pixel| (n * 7 + channel * 85 + pixel) as u8);
    std::iter::once((n % 10) as u8).chain((0..3).flat_map(plane)).collect()
}

fn cifar_file(records: std::ops::Range<usize>) -> Vec<u8> {
    records.flat_map(cifar_record).collect()
}

/// The six files of CIFAR-10, two records each.
fn cifar_files() -> Vec<(String, Vec<u8>)> {
    let training = (0..5).map(|i| (format!("data_batch_{}.bin", i + 1), cifar_file(2 * i..2 * i + 2)));
    training.chain([("test_batch.bin".into(), cifar_file(10..12))]).collect()
}

fn write_all(folder: &Path, files: &[(String, Vec<u8>)]) {
    fs::create_dir_all(folder).unwrap();
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, format!("cifar-10-batches-bin/{name}"), &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn a_folder_its_parent_and_the_archive_give_the_same_cifar_set() {
    let temporary = TempDir::new().unwrap();
    let folder = temporary.path().join("cifar-10-batches-bin");
    let mut files = cifar_files();
    write_all(&folder, &files);
    files.push(("readme.html".into(), b"text".to_vec()));
    files.reverse();
    let archive_path = temporary.path().join("cifar-10-binary.tar.gz");
    fs::write(&archive_path, gzip(&archive(&files))).unwrap();

    let set = load("cifar10", &folder).unwrap();
    assert_eq!(set, load("cifar10", temporary.path()).unwrap());
    let fetched = TempDir::new().unwrap();
    fs::copy(&archive_path, fetched.path().join("cifar-10-binary.tar.gz")).unwrap();
    assert_eq!(set, load("cifar10", fetched.path()).unwrap());
    assert_eq!(set, load("cifar10", &archive_path).unwrap());
    assert_eq!((set.len(), set.training_file, set.test_file()), (12, 10, Some(10..12)));
    assert_eq!(set.labels, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    assert_eq!(set.normalization.mean, [0.49139968, 0.48215827, 0.44653124]);
    assert_eq!(set.normalization.std, [0.24703233, 0.24348505, 0.26158768]);
    for image in 0..12 {
        let record = cifar_record(image as usize);
        for pixel in 0..1024 {
            let planes = [0, 1, 2].map(|channel| record[1 + channel * 1024 + pixel]);
            assert_eq!(set.image(image)[3 * pixel..][..3], planes);
        }
    }
}

#[test]
fn one_cifar_file_is_a_training_file_without_a_test_file() {
    let temporary = TempDir::new().unwrap();
    let path = temporary.path().join("first.bin");
    fs::write(&path, cifar_file(0..30)).unwrap();
    let set = load("cifar10", &path).unwrap();
    assert_eq!((set.len(), set.training_file, set.held_out, set.test_file()), (30, 30, 3, None));
}

#[test]
fn damaged_cifar_files_are_refused() {
    let temporary = TempDir::new().unwrap();
    let path = temporary.path().join("batch.bin");
    let write = |bytes: &[u8], expected: &str| {
        fs::write(&path, bytes).unwrap();
        failure("cifar10", &path, expected);
    };
    write(&[], "its 0 bytes are not a whole number of 3073-byte records");
    write(&cifar_file(0..2)[..6145], "its 6145 bytes are not a whole number");
    let mut wrong_label = cifar_file(0..3);
    wrong_label[2 * 3073] = 10;
    write(&wrong_label, "image 2 has label 10, but labels go from 0 to 9");

    let whole = gzip(&archive(&cifar_files()));
    write(&whole[..whole.len() - 4], "it is truncated");
    write(&whole[..whole.len() / 2], "it is truncated");
    write(&whole[..5], "it is truncated");
    write(&gzip(&cifar_file(0..2)), "it is damaged");
    write(&gzip(&archive(&[("data_batch_1".into(), vec![1; 50])])), "has no data_batch_1.bin");
    write(&gzip(&archive(&cifar_files()[..5])), "has no test_batch.bin");
    write(&gzip(&archive(&[cifar_files(), cifar_files()].concat())), "it holds data_batch_1.bin twice");
    let mut flipped = whole.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 1;
    write(&flipped, "it is damaged");
    let mut short_file = cifar_files();
    short_file[2].1.pop();
    write(&gzip(&archive(&short_file)), "data_batch_3.bin: its 6145 bytes");
}

#[test]
fn an_archive_whose_header_claims_more_than_it_holds_is_refused() {
    let temporary = TempDir::new().unwrap();
    let path = temporary.path().join("claims.tar.gz");
    let mut header = tar::Header::new_gnu();
    header.set_path("data_batch_1.bin").unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend(cifar_file(0..1));
    fs::write(&path, gzip(&bytes)).unwrap();
    failure("cifar10", &path, "");
}

#[test]
fn folders_without_the_cifar_files_and_paths_to_nothing_are_refused() {
    let temporary = TempDir::new().unwrap();
    failure("cifar10", temporary.path(), "has no data_batch_1.bin");
    failure("cifar10", &temporary.path().join("nothing"), "cannot be read");
    let mut files = cifar_files();
    files.remove(3);
    write_all(temporary.path(), &files);
    failure("cifar10", temporary.path(), "has no data_batch_4.bin");
}

fn idx(magic: u32, dimensions: &[u32], bytes: &[u8]) -> Vec<u8> {
    let words = std::iter::once(&magic).chain(dimensions);
    words.flat_map(|word| word.to_be_bytes()).chain(bytes.iter().copied()).collect()
}

/// Twenty training and five test images of 2x3 pixels; the last two training images are white.
fn idx_files() -> Vec<(String, Vec<u8>)> {
    let mut pixels: Vec<u8> = (0..120).map(|i| if i % 2 == 0 { 0 } else { 102 }).collect();
    pixels[108..].fill(255);
    let labels = |count: usize| (0..count).map(|i| (i % 4) as u8).collect::<Vec<u8>>();
    vec![
        ("train-images-idx3-ubyte".into(), idx(0x803, &[20, 2, 3], &pixels)),
        ("train-labels-idx1-ubyte".into(), idx(0x801, &[20], &labels(20))),
        ("t10k-images-idx3-ubyte".into(), idx(0x803, &[5, 2, 3], &[9; 30])),
        ("t10k-labels-idx1-ubyte".into(), idx(0x801, &[5], &labels(5))),
    ]
}

#[test]
fn raw_and_compressed_idx_files_give_the_same_set() {
    let temporary = TempDir::new().unwrap();
    let (raw, compressed) = (temporary.path().join("a/set"), temporary.path().join("b/set"));
    let files = idx_files();
    write_all(&raw, &files);
    let zipped: Vec<_> = files.iter().map(|(name, bytes)| (format!("{name}.gz"), gzip(bytes))).collect();
    write_all(&compressed, &zipped);
    let set = load("idx", &raw).unwrap();
    assert_eq!(set, load("idx", &compressed).unwrap());
    assert_eq!((set.name.as_str(), set.height, set.width, set.channels, set.classes), ("set", 2, 3, 1, 4));
    assert_eq!((set.len(), set.training_file, set.held_out, set.test_file()), (25, 20, 2, Some(20..25)));
    assert_eq!(set.image(24), [9; 6]);
    // Bytes 0 and 102 in turn: the two white images are held out.
    assert_eq!(set.normalization, Normalization { mean: vec![0.2], std: vec![0.2] });

    fs::remove_file(raw.join("t10k-images-idx3-ubyte")).unwrap();
    failure("idx", &raw, "has no t10k-images-idx3-ubyte");
    fs::remove_file(raw.join("t10k-labels-idx1-ubyte")).unwrap();
    assert_eq!(load("idx", &raw).unwrap().test_file(), None);
}

/// Writes the IDX files with one replaced, and expects a sentence.
fn damaged_idx(name: &str, bytes: &[u8], expected: &str) {
    let temporary = TempDir::new().unwrap();
    let mut files = idx_files();
    let plain = name.trim_end_matches(".gz");
    files.retain(|(existing, _)| existing != plain);
    files.push((name.into(), bytes.to_vec()));
    write_all(temporary.path(), &files);
    failure("idx", temporary.path(), expected);
}

#[test]
fn damaged_idx_files_are_refused() {
    let images = &idx_files()[0].1;
    let damaged = |bytes: &[u8], expected: &str| damaged_idx("train-images-idx3-ubyte", bytes, expected);
    damaged(&[], "it is truncated");
    damaged(&images[..10], "it is truncated");
    damaged(&images[..images.len() - 1], "it ends after 119 of the 120 bytes");
    damaged(&images[..images.len() - 17], "announces 20 x 2 x 3 values, more than the file can hold");
    damaged(&[images, &[0][..]].concat(), "more follows the 120 bytes");
    damaged(&idx(0x801, &[20], &[0; 20]), "it starts with 0x00000801, not with 0x00000803");
    damaged(&idx(0x803, &[19, 2, 3], &[0; 114]), "19 images, but");
    damaged(&idx(0x803, &[20, 0, 3], &[]), "its header announces 20 x 0 x 3 values");
    damaged(&idx(0x803, &[20, 3, 3], &[0; 180]), "its training images are 3x3x1, its test images 2x3x1");
    damaged_idx("train-labels-idx1-ubyte", &idx(0x801, &[0], &[]), "its header announces 0 values");
}

#[test]
fn damaged_compressed_idx_files_are_refused() {
    let whole = gzip(&idx_files()[0].1);
    let damaged = |bytes: &[u8], expected: &str| damaged_idx("train-images-idx3-ubyte.gz", bytes, expected);
    damaged(&whole[..whole.len() - 1], "it is truncated");
    damaged(&whole[..whole.len() - 12], "it is truncated");
    damaged(&whole[..3], "it is truncated");
    let mut wrong_checksum = whole.clone();
    let last = wrong_checksum.len() - 6;
    wrong_checksum[last] ^= 1;
    damaged(&wrong_checksum, "it is damaged");
    damaged(&gzip(&idx(0x803, &[20, 2, 3], &[0; 119])), "it ends after 119 of the 120 bytes");
    damaged(&gzip(&idx(0x803, &[20, 2, 3], &[0; 121])), "more follows the 120 bytes");
}

#[test]
fn a_header_that_claims_billions_of_images_is_refused_before_memory_is_asked_for() {
    for dimensions in [[u32::MAX, 28, 28], [u32::MAX, u32::MAX, u32::MAX], [4_000_000_000, 1, 1]] {
        let bytes = idx(0x803, &dimensions, &[0; 1000]);
        damaged_idx("train-images-idx3-ubyte", &bytes, "more than the file can hold");
        damaged_idx("train-images-idx3-ubyte.gz", &gzip(&bytes), "more than the file can hold");
    }
}

#[test]
fn folders_without_idx_files_and_paths_to_nothing_are_refused() {
    let temporary = TempDir::new().unwrap();
    failure("idx", temporary.path(), "has no train-images-idx3-ubyte (or train-images-idx3-ubyte.gz)");
    failure("idx", &temporary.path().join("nothing"), "cannot be read");
    let file = temporary.path().join("file");
    fs::write(&file, b"x").unwrap();
    failure("idx", &file, "it is no folder");
}
