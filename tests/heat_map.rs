//! The heat map of an interference matrix is plain, deterministic SVG.

use crosstalk::report::{HeatMap, ReportError, heat_map, heat_maps};
use std::fs;

/// The shape of an interference matrix: a step helps its own child most, and others by what they share; a last row for the zero gradient.
fn interference(children: usize, zero_row: bool, size: f64) -> HeatMap {
    let name = |child: usize| format!("{}{}{}", child / 16 + 1, child / 4 % 4 + 1, child % 4 + 1);
    let shared = |a: &str, b: &str| a.bytes().zip(b.bytes()).filter(|(a, b)| a == b).count();
    let noise = |a: usize, b: usize| ((a * 7919 + b * 104_729 + 13) % 1000) as f64 / 1000.0 - 0.35;
    let column_labels: Vec<String> = (0..children).map(name).collect();
    let mut row_labels = column_labels.clone();
    let mut values: Vec<Vec<f64>> = (0..children)
        .map(|a| (0..children).map(|b| size * (noise(a, b) - 0.3 * shared(&name(a), &name(b)) as f64)).collect())
        .collect();
    if zero_row {
        row_labels.push("zero gradient".to_string());
        values.push((0..children).map(|b| size * 0.3 * noise(b, 99)).collect());
    }
    HeatMap {
        title: "Change of loss after one step".to_string(),
        subtitle: "zhang64, step 640, batch statistics, 360 images".to_string(),
        row_axis: "child that stepped".to_string(),
        column_axis: "evaluated child".to_string(),
        row_labels,
        column_labels,
        values,
        value_label: "change of loss, nats".to_string(),
        limit: None,
        last_row_apart: zero_row,
    }
}

fn drawn(map: &HeatMap) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map.svg");
    heat_map(&path, map).unwrap();
    fs::read_to_string(&path).unwrap()
}

fn texts(svg: &str) -> Vec<&str> {
    let after_tags = svg.split("<text ").skip(1).filter_map(|text| text.split_once(">\n"));
    after_tags.filter_map(|(_, text)| text.split_once('\n')).map(|(text, _)| text).collect()
}

#[test]
fn equal_matrices_give_equal_bytes() {
    assert_eq!(drawn(&interference(16, true, 0.4)), drawn(&interference(16, true, 0.4)));
}

#[test]
fn every_label_title_and_value_of_a_small_matrix_is_plain_text() {
    let svg = drawn(&interference(3, true, 0.02));
    let texts = texts(&svg);
    let expected = [
        "Change of loss after one step",
        "zhang64, step 640, batch statistics, 360 images",
        "child that stepped",
        "evaluated child",
        "change of loss, nats (× 10⁻³)",
        "zero gradient",
        "−24.7",
        "−20",
        "20",
    ];
    for text in expected {
        assert!(texts.contains(&text), "{text} is not in {texts:?}");
    }
    assert_eq!(texts.iter().filter(|&&text| text == "112").count(), 2);
}

#[test]
fn a_large_matrix_has_all_labels_and_no_printed_values() {
    let svg = drawn(&interference(64, true, 0.1));
    let texts = texts(&svg);
    assert_eq!(texts.iter().filter(|&&text| text == "342").count(), 2);
    // Two titles, two axes, 65 + 64 labels, the label of the color bar and its five ticks.
    assert_eq!(texts.len(), 2 + 2 + 65 + 64 + 1 + 5);
}

#[test]
fn colors_are_symmetric_around_zero() {
    let mut map = interference(2, false, 1.0);
    map.values = vec![vec![-0.25, 0.0], vec![0.25, 2.0]];
    map.limit = Some(0.25);
    let svg = drawn(&map);
    for color in ["#053061", "#F7F7F7", "#67001F"] {
        assert!(svg.contains(color), "{color}");
    }
    assert!(svg.contains("change of loss, nats, clipped"));
}

#[test]
fn a_value_that_is_not_finite_is_gray_and_does_not_stretch_the_scale() {
    let mut map = interference(2, false, 1.0);
    map.values = vec![vec![f64::NAN, 0.5], vec![f64::INFINITY, -0.5]];
    let svg = drawn(&map);
    assert_eq!(svg.matches("#B0B0B0").count(), 2);
    assert!(svg.contains("#67001F") && svg.contains("#053061"));
}

#[test]
fn maps_side_by_side_keep_what_each_would_have_alone() {
    let (loss, accuracy) = (interference(3, true, 0.02), interference(3, true, 4.0));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("maps.svg");
    heat_maps(&path, &[loss.clone(), accuracy.clone()]).unwrap();
    let both = fs::read_to_string(&path).unwrap();
    let [alone, beside] = [drawn(&loss), drawn(&accuracy)];
    assert_eq!(texts(&both), [texts(&alone), texts(&beside)].concat());
    let width = |svg: &str| -> i32 {
        let width = svg.split_once("width=\"").and_then(|(_, after)| after.split_once('"')).expect("a width").0;
        width.parse().expect("a number")
    };
    assert_eq!(width(&both), width(&alone) + width(&beside));
    // The first is drawn where it would be alone, the second to the right of it.
    let positions = |svg: &str| -> Vec<i32> {
        let after = svg.split("<text x=\"").skip(1).filter_map(|text| text.split_once('"'));
        after.map(|(x, _)| x.parse().expect("a number")).collect()
    };
    let moved = positions(&beside).into_iter().map(|x| x + width(&alone));
    assert_eq!(positions(&both), positions(&alone).into_iter().chain(moved).collect::<Vec<_>>());
}

#[test]
fn labels_are_escaped() {
    let mut map = interference(2, false, 1.0);
    map.title = "a < b & \"c\"".to_string();
    assert!(drawn(&map).contains("a &lt; b &amp; &quot;c&quot;"));
}

#[test]
fn labels_that_do_not_fit_the_values_are_refused_by_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map.svg");
    let mut map = interference(3, false, 1.0);
    map.column_labels.pop();
    let message = heat_map(&path, &map).unwrap_err().to_string();
    assert!(message.contains("2 column labels for 3 columns"), "{message}");
    assert!(matches!(heat_map(&path, &HeatMap::default()), Err(ReportError::Labels { .. })));
    assert!(!path.exists());
}
