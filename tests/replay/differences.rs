//! What differs is told with its place.

use crate::copied::Copied;
use crate::{ALL_PARTS, committed};
use crosstalk::tensors::{Tensor, Values};

#[track_caller]
fn assert_lines(text: &str, expected: &[&str]) {
    for start in expected {
        assert!(text.lines().any(|line| line.starts_with(start)), "{text} has no line {start}");
    }
    let differing = text.lines().filter(|line| line.ends_with("differ")).count();
    assert_eq!((differing, text.matches("First").count()), (expected.len(), expected.len()), "{text}");
}

/// Moves the largest value of a tensor by a part in a million.
fn nudge(tensor: &mut Tensor) {
    let mut values: Vec<f64> = tensor.values.iter_f64().collect();
    *values.iter_mut().max_by(|a, b| a.abs().total_cmp(&b.abs())).expect("a value") *= 1.0 + 1e-6;
    tensor.values = Values::F64(values);
}

#[test]
fn a_changed_loss_or_accuracy_is_reported_with_its_step() {
    let trace = Copied::of(ALL_PARTS);
    let old = trace.cell("steps.csv", 5, 2);
    let new = (old.parse::<f64>().expect("a number") * (1.0 + 1e-7)).to_string();
    let trace = trace.replace("steps.csv", &old, &new);
    assert_lines(&trace.differs(""), &["First step whose loss differs: step 3, child 342: "]);
    trace.shop.run("replay trace --tolerance 1e-6");
    trace.shop.run("replay trace --only gradients,final,evaluation,predictions");
    let trace = Copied::of(ALL_PARTS).replace("steps.csv", "0.42857142857142855", "0.2857142857142857");
    assert_lines(
        &trace.differs(""),
        &["First step whose accuracy differs: step 1, child 213: 0.42857142857142855 here"],
    );
}

#[test]
fn accuracies_of_four_digits_agree_but_one_image_more_does_not() {
    let rounded = |file: &str, column: usize| {
        let text = std::fs::read_to_string(committed(ALL_PARTS).join(file)).expect("a text file");
        let line = |(number, line): (usize, &str)| {
            let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
            if number > 0 {
                cells[column] = format!("{:.4}", cells[column].parse::<f64>().expect("a number"));
            }
            cells.join(",") + "\n"
        };
        text.lines().enumerate().map(line).collect::<String>()
    };
    let (steps, evaluation) = (rounded("steps.csv", 3), rounded("eval.csv", 3));
    assert!(steps.contains(",0.4286\n"), "{steps}");
    let trace = Copied::of(ALL_PARTS).write("steps.csv", &steps).write("eval.csv", &evaluation);
    trace.shop.run("replay trace");
    // One of 360 images more.
    let old = trace.cell("eval.csv", 2, 3);
    let new = format!("{:.4}", old.parse::<f64>().expect("a number") + 1.0 / 360.0);
    let trace = trace.replace("eval.csv", &format!(",{old},"), &format!(",{new},"));
    assert_lines(&trace.differs(""), &["First evaluation whose accuracy differs: child 111, "]);
}

#[test]
fn a_changed_alpha_or_loss_of_the_alphas_is_reported_with_its_step() {
    let trace = Copied::of("zhang64-darts").tensors("alphas.safetensors", |file| {
        // The last numbers are those after the last step.
        let tensor = file.tensors.get_mut("alpha_normal.0").expect("alphas");
        let mut values: Vec<f64> = tensor.values.iter_f64().collect();
        *values.last_mut().expect("a number") *= 1.001;
        tensor.values = Values::F64(values);
    });
    let line = "First architecture parameters that differ: alpha_normal.0, after step 19: the largest difference";
    assert_lines(&trace.differs(""), &[line]);
    let trace = Copied::of("zhang64-darts");
    let old = trace.cell("steps.csv", 5, 4);
    let new = (old.parse::<f64>().expect("a number") * (1.0 + 1e-7)).to_string();
    let trace = trace.replace("steps.csv", &old, &new);
    assert_lines(&trace.differs(""), &["First step whose alpha_loss differs: step 3: "]);
    // Another image for the alphas of step 1 changes what comes after.
    let image = Copied::of("nasbench201-darts").cell("batches_alpha.csv", 6, 2);
    let trace = Copied::of("nasbench201-darts").replace("batches_alpha.csv", &format!("1,0,{image}"), "1,0,7");
    let text = trace.differs("");
    assert!(text.contains("First step whose alpha_loss differs: step 1: "), "{text}");
    assert!(text.contains("First architecture parameters that differ: arch_parameters, after step 1: "), "{text}");
}

#[test]
fn another_child_or_image_changes_every_later_step() {
    let trace = Copied::of(ALL_PARTS).replace("steps.csv", "2,431,", "2,432,");
    assert!(trace.differs("--only steps").contains("First step whose loss differs: step 2, child 432: "));
    let image = Copied::of(ALL_PARTS).cell("batches.csv", 2, 2);
    let trace = Copied::of(ALL_PARTS).replace("batches.csv", &format!("0,0,{image}"), "0,0,7");
    assert!(trace.differs("--only steps").contains("First step whose loss differs: step 0, child 124: "));
}

#[test]
fn the_first_changed_weight_from_the_images_on_is_named() {
    let names = ["net.linear.weight", "net.stem.0.weight"];
    let trace = Copied::of(ALL_PARTS).tensors("final.safetensors", |file| {
        names.iter().for_each(|name| nudge(file.tensors.get_mut(*name).expect("a weight")));
    });
    let text = trace.differs("");
    assert_lines(
        &text,
        &["First parameter that differs after the last step: net.stem.0.weight: the largest difference"],
    );
    assert!(text.contains("2 differ"), "{text}");
}

#[test]
fn a_changed_counter_differs_at_any_tolerance() {
    let name = "net.stem.1.num_batches_tracked";
    let trace = Copied::of(ALL_PARTS).tensors("final.safetensors", |file| {
        let Some(Values::I64(counts)) = file.tensors.get_mut(name).map(|tensor| &mut tensor.values) else {
            panic!("no counter")
        };
        counts[0] += 1;
    });
    let text = trace.differs("--tolerance 1000");
    assert_lines(&text, &[&format!("First parameter that differs after the last step: {name}: ")]);
}

#[test]
fn gradients_must_have_the_keys_of_the_used_parameters() {
    let file = "gradients/222.safetensors";
    let stem = "net.stem.0.weight";
    let missing = Copied::of(ALL_PARTS).tensors(file, |file| drop(file.tensors.remove(stem)));
    let line = "First parameter whose gradient differs: ";
    let here = format!("{line}{stem}, child 222: here, but not in the trace");
    assert_lines(&missing.differs("--only gradients"), &[&here]);
    let unused = "net.cells.0.dag.0.0._ops.3.net.1.weight";
    let extra = Copied::of(ALL_PARTS).tensors(file, |file| {
        let tensor = file.tensors[stem].clone();
        file.tensors.insert(unused.to_owned(), tensor);
    });
    let there = format!("{line}{unused}, child 222: in the trace, but not here");
    assert_lines(&extra.differs("--only gradients"), &[&there]);
    let changed = Copied::of(ALL_PARTS).tensors(file, |file| nudge(file.tensors.get_mut(stem).expect("a gradient")));
    assert_lines(&changed.differs(""), &[&format!("{line}{stem}, child 222: the largest difference")]);
    let other = Copied::of(ALL_PARTS).replace("gradients/batch.csv", "0,3", "0,4");
    assert!(other.differs("--only gradients").contains(line));
}

#[test]
fn a_changed_count_loss_or_class_is_reported_with_its_child() {
    let trace = Copied::of(ALL_PARTS).replace("eval.csv", ",86\n", ",87\n");
    let line = "First evaluation whose correct differs: child 111, batch: 86 here, 87 in the trace";
    assert_lines(&trace.differs(""), &[line]);
    let trace = Copied::of(ALL_PARTS).replace("eval.csv", "2.2361736", "2.2361737");
    assert_lines(&trace.differs(""), &["First evaluation whose loss differs: child 124, running: 2.2361736"]);
    let trace = Copied::of(ALL_PARTS).tensors("predictions.safetensors", |file| {
        let Some(Values::I64(classes)) = file.tensors.get_mut("124/batch").map(|tensor| &mut tensor.values) else {
            panic!("no classes")
        };
        classes[5] = (classes[5] + 1) % 10;
    });
    assert_lines(
        &trace.differs(""),
        &["First predictions that differ: child 124, batch: 1 images, first image 1442: "],
    );
}
