use super::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn tensor(shape: &[usize], values: Values) -> Tensor {
    Tensor { shape: shape.to_vec(), values }
}

fn example() -> TensorFile {
    let tensors = [
        ("net.stem.0.weight", tensor(&[2, 3], Values::F32(vec![0.5, -1.25, 3.0, f32::MIN_POSITIVE, -0.0, 1e30]))),
        ("net.stem.1.num_batches_tracked", tensor(&[], Values::I64(vec![i64::MAX]))),
        ("net.stem.1.running_var", tensor(&[2], Values::F64(vec![f64::EPSILON, f64::INFINITY]))),
        ("net.empty", tensor(&[0, 4], Values::F32(vec![]))),
    ];
    TensorFile {
        metadata: BTreeMap::from([
            ("step".to_string(), "39200".to_string()),
            ("a \"key\"".to_string(), "é\n".to_string()),
        ]),
        tensors: tensors.into_iter().map(|(name, tensor)| (name.to_string(), tensor)).collect(),
    }
}

fn write_raw(folder: &Path, header: &str, values: &[u8]) -> PathBuf {
    let path = folder.join("raw.safetensors");
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(values);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    for file in [example(), TensorFile::default()] {
        file.write(&path).unwrap();
        assert_eq!(TensorFile::read(&path).unwrap(), file);
    }
}

#[test]
fn equal_content_gives_equal_bytes_with_sorted_names_and_aligned_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    example().write(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let header = concat!(
        r#"{"__metadata__":{"a \"key\"":"é\n","step":"39200"},"#,
        r#""net.empty":{"dtype":"F32","shape":[0,4],"data_offsets":[24,24]},"#,
        r#""net.stem.0.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[24,48]},"#,
        r#""net.stem.1.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"#,
        r#""net.stem.1.running_var":{"dtype":"F64","shape":[2],"data_offsets":[8,24]}}"#,
    );
    assert_eq!(&bytes[8..8 + header.len()], header.as_bytes());
    assert_eq!((bytes.len() - 48) % 8, 0);
}

#[test]
fn a_file_cut_at_any_byte_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    example().write(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        let message = TensorFile::read(&path).unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("{} is truncated or not a .safetensors file", path.display())),
            "{message}"
        );
    }
    fs::write(&path, [bytes.as_slice(), b"more"].concat()).unwrap();
    TensorFile::read(&path).unwrap_err();
}

#[test]
fn a_file_with_any_byte_of_its_header_changed_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    example().write(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    for position in 0..bytes.len() {
        for replacement in [0, b'9', b'"', 0xff] {
            let mut changed = bytes.clone();
            changed[position] = replacement;
            fs::write(&path, changed).unwrap();
            let _ = TensorFile::read(&path);
        }
    }
}

#[test]
fn half_precision_is_widened_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let header = r#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[4,6]}}"#;
    let path = write_raw(folder.path(), header, &[0x00, 0x3c, 0x01, 0x00, 0x80, 0xbf]);
    let file = TensorFile::read(&path).unwrap();
    assert_eq!(file.tensors["a"].values, Values::F32(vec![1.0, 2.0_f32.powi(-24)]));
    assert_eq!(file.tensors["b"].values, Values::F32(vec![-1.0]));
}

#[test]
fn a_number_type_that_is_not_kept_is_refused_by_tensor_and_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_raw(folder.path(), r#"{"mask":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}}"#, &[1, 0]);
    let message = TensorFile::read(&path).unwrap_err().to_string();
    assert!(message.contains("tensor `mask`") && message.contains("number type BOOL"), "{message}");
}

#[test]
fn files_of_other_kinds_are_refused_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    fs::write(&path, b"PK\x03\x04archive/data.pkl and so on").unwrap();
    assert!(TensorFile::read(&path).unwrap_err().to_string().contains("safetensors.torch.save_file"));
    let missing = TensorFile::read(&folder.path().join("none.safetensors")).unwrap_err().to_string();
    assert!(missing.contains("there is no such file"), "{missing}");
    let folder_itself = TensorFile::read(folder.path()).unwrap_err().to_string();
    assert!(folder_itself.contains("it is a folder"), "{folder_itself}");
}

#[test]
fn a_shape_that_does_not_fit_its_values_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    example().write(&path).unwrap();
    for shape in [vec![2, 2], vec![usize::MAX, 2]] {
        let mut file = example();
        file.tensors.insert("wrong".to_string(), Tensor { shape, values: Values::F32(vec![1.0; 3]) });
        let message = file.write(&path).unwrap_err().to_string();
        assert!(message.contains("tensor `wrong`") && message.contains("3 values"), "{message}");
    }
    assert_eq!(TensorFile::read(&path).unwrap(), example());
}

fn with_one_tensor(values: Values) -> TensorFile {
    let tensors = BTreeMap::from([("a".to_string(), tensor(&[values.len()], values))]);
    TensorFile { metadata: BTreeMap::new(), tensors }
}

#[test]
fn the_error_is_relative_to_the_norm_of_the_second_tensor() {
    let comparison =
        compare(&with_one_tensor(Values::F32(vec![3.0, 4.5])), &with_one_tensor(Values::F64(vec![3.0, 4.0])));
    assert_eq!(comparison.differences[0].relative_error, 0.1);
    assert_eq!(comparison.differences[0].largest_difference, 0.5);
    assert!(comparison.agrees_within(0.1) && !comparison.agrees_within(0.09));
}

#[test]
fn a_tensor_near_zero_is_measured_against_the_norm_of_all() {
    let mut second = with_one_tensor(Values::F64(vec![1e6]));
    second.tensors.insert("b".to_string(), tensor(&[1], Values::F64(vec![0.0])));
    second.tensors.insert("count".to_string(), tensor(&[1], Values::I64(vec![1 << 60])));
    let mut first = second.clone();
    first.tensors.insert("b".to_string(), tensor(&[1], Values::F64(vec![0.25])));
    assert_eq!(compare(&first, &second).differences[1].relative_error, 0.25);
}

#[test]
fn equal_values_that_are_not_finite_agree_and_different_ones_never_do() {
    let of = |values: [f64; 2]| with_one_tensor(Values::F64(values.to_vec()));
    let (nan, infinity) = (f64::NAN, f64::INFINITY);
    assert!(compare(&of([nan, infinity]), &of([nan, infinity])).agrees_within(0.0));
    for (a, b) in [([nan, 1.0], [0.0, 1.0]), ([1.0, 1.0], [nan, 1.0]), ([infinity, 1.0], [-infinity, 1.0])] {
        assert!(!compare(&of(a), &of(b)).agrees_within(1e300), "{a:?} {b:?}");
    }
    assert!(!compare(&of([nan, 1.0]), &of([nan, 2.0])).agrees_within(0.1));
    assert!(!compare(&of([infinity, 1.0]), &of([infinity, 2.0])).agrees_within(0.1));
    assert!(!compare(&of([1e-300, 0.0]), &of([2e-300, 1.0])).agrees_within(0.0));
}

#[test]
fn names_and_shapes_on_one_side_only_are_listed() {
    let mut first = example();
    let mut second = example();
    first.tensors.insert("first".to_string(), tensor(&[1], Values::F32(vec![1.0])));
    second.tensors.insert("second".to_string(), tensor(&[1], Values::F32(vec![1.0])));
    second.tensors.insert("net.stem.0.weight".to_string(), tensor(&[6], Values::F32(vec![1.0; 6])));
    let comparison = compare(&first, &second);
    assert_eq!(comparison.only_in_first, ["first"]);
    assert_eq!(comparison.only_in_second, ["second"]);
    assert_eq!(comparison.other_shape, [("net.stem.0.weight".to_string(), vec![2, 3], vec![6])]);
    assert!(!comparison.agrees_within(f64::INFINITY));
}
