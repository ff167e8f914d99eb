//! `crosstalk replay` repeats PyTorch's runs, and says where a trace is another run's.

mod common;

use common::command::Workshop;
use crosstalk::simd::Level;
use crosstalk::tensors::{Tensor, TensorFile, Values};
use std::path::{Path, PathBuf};

const ALL_PARTS: &str = "zhang64-all-parts";

fn committed(name: &str) -> PathBuf {
    PathBuf::from(format!("{}/tests/traces/{name}", env!("CARGO_MANIFEST_DIR")))
}

/// Replays a committed trace, which must agree, and returns the table's rows as cells.
fn replay(name: &str, arguments: &str) -> Vec<Vec<String>> {
    let text = Workshop::new().run(&format!("replay {} {arguments}", committed(name).display()));
    let rows = text.lines().skip_while(|line| !line.starts_with("---")).skip(1);
    let cells =
        |line: &str| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect();
    rows.map(cells).collect()
}

/// Every row must have compared so many values, and lie within `tolerance`, as the printed numbers say.
#[track_caller]
fn assert_rows(rows: &[Vec<String>], expected: &[(&str, &str, usize)], tolerance: f64) {
    assert_eq!(rows.len(), expected.len(), "{rows:?}");
    for (row, (part, quantity, compared)) in rows.iter().zip(expected) {
        assert_eq!((row[0].as_str(), row[1].as_str(), &row[2]), (*part, *quantity, &compared.to_string()), "{row:?}");
        let deviation: f64 = row[3].parse().expect("a number");
        assert!(deviation <= tolerance && row[6] == "agrees", "{row:?}");
        assert!(!["correct", "class"].contains(quantity) || deviation == 0.0, "{row:?}");
    }
}

const EVALUATION: [(&str, &str, usize); 3] =
    [("evaluation", "loss", 128), ("evaluation", "accuracy", 128), ("evaluation", "correct", 128)];

#[test]
fn fifty_steps_on_the_reference_agree_with_either_rule_for_unsampled_parameters() {
    let parts = [("steps", "loss", 50), ("steps", "accuracy", 50), ("final", "tensors", 190)];
    let expected = [&parts[..], &EVALUATION].concat();
    for name in ["zhang64-decay", "zhang64-skip"] {
        assert_rows(&replay(name, "--device reference"), &expected, 1e-8);
    }
}

#[test]
fn twenty_steps_of_nasbench201_on_the_reference_agree_tied_and_untied() {
    for (name, tensors, evaluations) in [("nasbench201-decay", 75, 18), ("nasbench201-untied", 111, 16)] {
        let expected = [
            ("steps", "loss", 20),
            ("steps", "accuracy", 20),
            ("final", "tensors", tensors),
            ("evaluation", "loss", evaluations),
            ("evaluation", "accuracy", evaluations),
            ("evaluation", "correct", evaluations),
        ];
        assert_rows(&replay(name, ""), &expected, 1e-8);
    }
    // Final weights are evaluated with PyTorch's counts in f32 too.
    for level in Level::available() {
        let rows = replay("nasbench201-decay", &format!("--device cpu --simd {level} --only evaluation"));
        let quantities = ["loss", "accuracy", "correct"].map(|quantity| ("evaluation", quantity, 18));
        assert_rows(&rows, &quantities, 1e-4);
    }
}

/// Rows of a search's trace: so many steps, tensors of architecture parameters and tensors of the state, and evaluations.
fn of_search(
    steps: usize,
    alphas: usize,
    tensors: usize,
    evaluations: usize,
) -> [(&'static str, &'static str, usize); 8] {
    [
        ("steps", "loss", steps),
        ("steps", "accuracy", steps),
        ("steps", "alpha_loss", steps),
        ("alphas", "tensors", steps * alphas),
        ("final", "tensors", tensors),
        ("evaluation", "loss", evaluations),
        ("evaluation", "accuracy", evaluations),
        ("evaluation", "correct", evaluations),
    ]
}

#[test]
fn twenty_steps_of_a_search_agree_in_losses_alphas_and_weights() {
    assert_rows(&replay("zhang64-darts", ""), &of_search(20, 2, 102, 128), 1e-8);
    let nasbench201 = of_search(20, 1, 75, 18);
    assert_rows(&replay("nasbench201-darts", ""), &nasbench201, 1e-8);
    for level in Level::available() {
        let device = format!("--device cpu --simd {level}");
        assert_rows(&replay("nasbench201-darts", &device), &nasbench201, 1e-4);
        // Its mini-batches are near ties: weights part, but neither losses nor alphas.
        let steps = replay("zhang64-darts", &format!("{device} --only steps,alphas"));
        assert_rows(&steps, &of_search(20, 2, 102, 128)[..4], 1e-4);
    }
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
    let old = cell(&trace, "steps.csv", 5, 4);
    let new = (old.parse::<f64>().expect("a number") * (1.0 + 1e-7)).to_string();
    let trace = trace.replace("steps.csv", &old, &new);
    assert_lines(&trace.differs(""), &["First step whose alpha_loss differs: step 3: "]);
    // Another image for the alphas of step 1 changes what comes after.
    let image = cell(&Copied::of("nasbench201-darts"), "batches_alpha.csv", 6, 2);
    let trace = Copied::of("nasbench201-darts").replace("batches_alpha.csv", &format!("1,0,{image}"), "1,0,7");
    let text = trace.differs("");
    assert!(text.contains("First step whose alpha_loss differs: step 1: "), "{text}");
    assert!(text.contains("First architecture parameters that differ: arch_parameters, after step 1: "), "{text}");
}

#[test]
fn what_is_wrong_in_the_trace_of_a_search_is_named() {
    let trace = || Copied::of("zhang64-darts");
    trace().remove("alphas.safetensors").assert_refused(&["cannot read", "alphas.safetensors"]);
    let renamed = trace().tensors("alphas.safetensors", |file| drop(file.tensors.remove("alpha_normal.1")));
    renamed.assert_refused(&["alphas.safetensors: lacks `alpha_normal.1`"]);
    let short = trace().tensors("alphas.safetensors", |file| {
        let tensor = Tensor { shape: vec![20, 1, 4], values: Values::F64(vec![0.0; 80]) };
        file.tensors.insert("alpha_normal.0".to_owned(), tensor);
    });
    short.assert_refused(&["`alpha_normal.0` is [20, 1, 4], but must be [21, 1, 4]"]);
    trace()
        .replace("steps.csv", "0,,", "0,111,")
        .assert_refused(&["steps.csv, line 2, column `child`: `111` is a child"]);
    trace().replace("steps.csv", ",alpha_loss", ",loss_of_alphas").assert_refused(&["must name", "alpha_loss"]);
    Copied::of("nasbench201-darts").remove("batches_alpha.csv").assert_refused(&["cannot read", "batches_alpha.csv"]);
    let listed = trace().write("batches_alpha.csv", "step,position,image\n0,0,7\n");
    listed.assert_refused(&["batches_alpha.csv: step 0 has other images than file order"]);
}

#[test]
fn twenty_steps_of_darts_on_the_reference_agree() {
    let evaluation = ["loss", "accuracy", "correct"].map(|quantity| ("evaluation", quantity, 16));
    let parts = [("steps", "loss", 20), ("steps", "accuracy", 20), ("final", "tensors", 1625)];
    assert_rows(&replay("darts-decay", ""), &[&parts[..], &evaluation].concat(), 1e-8);
    for level in Level::available() {
        let rows = replay("darts-decay", &format!("--device cpu --simd {level} --only evaluation"));
        assert_rows(&rows, &evaluation, 1e-4);
    }
}

#[test]
fn every_part_agrees_on_both_backends() {
    let expected = [
        ("gradients", "tensors", 51),
        ("steps", "loss", 6),
        ("steps", "accuracy", 6),
        ("final", "tensors", 102),
        ("evaluation", "loss", 16),
        ("evaluation", "accuracy", 16),
        ("evaluation", "correct", 16),
        ("predictions", "class", 16),
    ];
    // The trace is of f64, which chooses the reference.
    assert_rows(&replay(ALL_PARTS, ""), &expected, 1e-8);
    assert_rows(&replay(ALL_PARTS, "--device cpu --only evaluation,predictions"), &expected[4..], 1e-4);
}

#[test]
fn a_trace_away_from_ties_agrees_at_every_instruction_set() {
    let parts =
        [("gradients", "tensors", 22), ("steps", "loss", 12), ("steps", "accuracy", 12), ("final", "tensors", 190)];
    let expected = [&parts[..], &EVALUATION].concat();
    for level in Level::available() {
        let rows = replay("zhang64-away-from-ties", &format!("--device cpu --simd {level}"));
        assert_rows(&rows, &expected, 1e-4);
    }
}

#[test]
fn all_children_have_pytorchs_counts_on_the_cpu_at_every_instruction_set() {
    for level in Level::available() {
        let rows = replay("zhang64-decay", &format!("--device cpu --simd {level} --only evaluation"));
        assert_rows(&rows, &EVALUATION, 1e-4);
    }
}

/// A copy of a trace, to be changed.
struct Copied {
    shop: Workshop,
}

impl Copied {
    fn of(name: &str) -> Self {
        let shop = Workshop::new();
        copy(&committed(name), &shop.path("trace"));
        Self { shop }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.shop.path("trace").join(name)
    }

    /// Replaces the first occurrence of `old`, which must be there.
    fn replace(self, file: &str, old: &str, new: &str) -> Self {
        let text = std::fs::read_to_string(self.path(file)).expect("a text file");
        assert!(text.contains(old), "{file} has no {old}");
        self.write(file, &text.replacen(old, new, 1))
    }

    fn write(self, file: &str, text: &str) -> Self {
        std::fs::write(self.path(file), text).expect("a file");
        self
    }

    fn remove(self, file: &str) -> Self {
        std::fs::remove_file(self.path(file)).expect("a file");
        self
    }

    fn tensors(self, file: &str, change: impl FnOnce(&mut TensorFile)) -> Self {
        let mut tensors = TensorFile::read(&self.path(file)).expect("tensors");
        change(&mut tensors);
        tensors.write(&self.path(file)).expect("a file");
        self
    }

    /// What the replay prints where a part differs; nothing may go to standard error.
    fn differs(&self, arguments: &str) -> String {
        let output = self.shop.command(&format!("replay trace {arguments}")).output().expect("the program starts");
        let (text, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!((output.status.code(), error.as_ref()), (Some(1), ""), "{text}");
        text.into_owned()
    }

    /// The sentence with which the trace is refused.
    fn refused(&self, arguments: &str) -> String {
        let error = self.shop.refused(&format!("replay trace {arguments}"));
        assert_eq!(error.lines().count(), 1, "{error}");
        error
    }

    #[track_caller]
    fn assert_refused(&self, places: &[&str]) {
        let error = self.refused("");
        assert!(places.iter().all(|place| error.contains(place)), "{error} lacks some of {places:?}");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a new folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

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

fn cell(trace: &Copied, file: &str, line: usize, column: usize) -> String {
    let text = std::fs::read_to_string(trace.path(file)).expect("a text file");
    text.lines().nth(line - 1).and_then(|line| line.split(',').nth(column)).expect("a cell").to_owned()
}

#[test]
fn a_changed_loss_or_accuracy_is_reported_with_its_step() {
    let trace = Copied::of(ALL_PARTS);
    let old = cell(&trace, "steps.csv", 5, 2);
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
    let old = cell(&trace, "eval.csv", 2, 3);
    let new = format!("{:.4}", old.parse::<f64>().expect("a number") + 1.0 / 360.0);
    let trace = trace.replace("eval.csv", &format!(",{old},"), &format!(",{new},"));
    assert_lines(&trace.differs(""), &["First evaluation whose accuracy differs: child 111, "]);
}

#[test]
fn mini_batches_listed_beside_file_order_must_be_those_of_file_order() {
    let images = |step: usize| (0..16).map(move |position| (step * 16 + position) % 500);
    let rows = |(step, position, image): (usize, usize, usize)| format!("{step},{position},{image}\n");
    let listed = (0..50).flat_map(|step| images(step).enumerate().map(move |(at, image)| (step, at, image)));
    let table = "step,position,image\n".to_owned() + &listed.map(rows).collect::<String>();
    let trace = Copied::of("zhang64-decay").write("batches.csv", &table);
    trace.shop.run("replay trace --only steps");
    let told =
        ["batches.csv: step 31 has other images than file order", "data.order = \"explicit\"", "remove the file"];
    let trace = trace.replace("batches.csv", "31,4,0\n", "31,4,7\n");
    trace.assert_refused(&told);
    let trace = trace.replace("batches.csv", "31,4,7\n", "").replace("batches.csv", "31,5,", "31,4,");
    trace.assert_refused(&["batches.csv: ", "step 31 has no position 5"]);
}

#[test]
fn another_child_or_image_changes_every_later_step() {
    let trace = Copied::of(ALL_PARTS).replace("steps.csv", "2,431,", "2,432,");
    assert!(trace.differs("--only steps").contains("First step whose loss differs: step 2, child 432: "));
    let image = cell(&Copied::of(ALL_PARTS), "batches.csv", 2, 2);
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

#[test]
fn a_folder_that_is_no_trace_or_lacks_a_part_is_refused() {
    let trace = Copied::of("zhang64-decay");
    let error = trace.refused("--only steps,predictions");
    assert!(error.contains("has no predictions.safetensors to compare; add it, or leave predictions out"), "{error}");
    for file in ["steps.csv", "init.safetensors", "final.safetensors"] {
        Copied::of("zhang64-decay").remove(file).assert_refused(&[file]);
    }
    let trace = Copied::of("zhang64-decay").remove("trace.toml");
    trace.assert_refused(&["trace is no trace: it has no trace.toml; name the folder of a trace"]);
    Copied::of(ALL_PARTS).remove("batches.csv").assert_refused(&["cannot read", "batches.csv"]);
    assert!(trace.shop.command("replay trace --only weights").output().expect("a process").status.code() == Some(2));
}

#[test]
fn what_trace_toml_must_not_or_must_say_is_named() {
    let changed = |old: &str, new: &str| Copied::of(ALL_PARTS).replace("trace.toml", old, new);
    let weights = "weights = \"init\"";
    for (old, new, places) in [
        ("steps = 6", "steps = 7", ["`steps` is 7, but steps.csv has 6 rows", "make them the same"]),
        ("steps = 6", "epochs = 1", ["steps.csv: has 6 rows, but trace.toml makes 72 steps", "make them the same"]),
        ("steps = 6", "stepz = 6", ["trace.toml", "stepz"]),
        ("steps = 6", "steps =", ["trace.toml", "line 3"]),
        ("\"explicit\"", "\"shuffled\"", ["`data.order`", "choose \"file\""]),
        ("flip = false", "flip = true", ["`augmentation`", "leave it out"]),
        ("steps = 6", "steps = 6\nreplicas = 2", ["`replicas`", "must be 1"]),
        ("[optimizer]", "lanes = 2\n[optimizer]", ["`step`", "trace one child a step"]),
        ("[optimizer]", "[start]\nfrom = \"x\"\n[optimizer]", ["`start`", "leave it out"]),
        (
            weights,
            "weights = \"best\"",
            ["`evaluation.weights` is \"best\"", "choose \"init\", \"final\" or \"replayed\""],
        ),
        (weights, "", ["`evaluation.weights` is missing", "\"init\", \"final\" or \"replayed\""]),
        ("images = [1437, 1797]\n", "", ["`evaluation.images` is missing", "the first image"]),
        ("[1437, 1797]", "[1797, 1437]", ["`evaluation.images` is [1797, 1437]", "as in [1437, 1797]"]),
        ("[1437, 1797]", "[1437, 1798]", ["`evaluation.images` ends at 1798", "has 1797 images; lower it"]),
        ("channels = 5", "channels = 6", ["init.safetensors", "has the shape"]),
    ] {
        changed(old, new).assert_refused(&places);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_trace_too_large_for_the_memory_is_refused_before_it_is_trained() {
    let trace = Copied::of("zhang64-decay").replace("trace.toml", "batch = 16", "batch = 100000000");
    for arguments in ["", "--only steps", "--device cpu --only final"] {
        let error = trace.refused(arguments);
        assert!(error.starts_with("error: the plan takes ") && error.contains("; lower data.batch, "), "{error}");
    }
    // Evaluations alone have mini-batches of their own.
    trace.shop.run("replay trace --device cpu --only evaluation");
}

#[test]
fn a_malformed_table_is_named_with_line_and_column() {
    let changed = |file: &str, old: &str, new: &str| Copied::of(ALL_PARTS).replace(file, old, new);
    for (file, old, new, places) in [
        (
            "steps.csv",
            "step,child,loss",
            "step,child,lost",
            ["names the columns step, child, lost", "must name step, child"],
        ),
        (
            "steps.csv",
            "1,213",
            "2,213",
            ["steps.csv, line 3, column `step`: `2` stands where step 1 is due", "in order"],
        ),
        ("steps.csv", "1,213", "1,215", ["steps.csv, line 3: ", "215"]),
        ("steps.csv", "0,124,2", "0,124,two", ["steps.csv, line 2, column `loss`", "is no finite number"]),
        ("batches.csv", "0,1,", "0,1,-", ["batches.csv, line 3, column `image`", "is no whole number"]),
        ("batches.csv", "0,1,", "0,0,", ["batches.csv, line 3", "step 0 lists position 0 twice; remove one"]),
        ("gradients/batch.csv", "1,1\n", "2,1\n", ["batch.csv, line 3, column `position`", "position 1 is due"]),
        ("gradients/batch.csv", "1,1\n", "1,1797\n", ["column `image`: `1797` is no image", "choose from 0 to 1796"]),
        ("eval.csv", "111,running", "111,recalibrated", ["eval.csv, line 2", "cannot be replayed: crosstalk draws"]),
        ("eval.csv", "111,running", "111,mean", ["eval.csv, line 2: `mean` is no regime", "choose"]),
        ("eval.csv", "111,running", "115,running", ["eval.csv, line 2: ", "115"]),
        ("eval.csv", ",84\n", ",84.0\n", ["eval.csv, line 2, column `correct`: `84.0`", "is no whole number"]),
        ("eval.csv", ",84\n", "\n", ["eval.csv, line 2: it has 4 cells", "write one cell a column"]),
    ] {
        changed(file, old, new).assert_refused(&places);
    }
    for file in ["steps.csv", "eval.csv"] {
        let header = std::fs::read_to_string(committed(ALL_PARTS).join(file)).expect("text");
        let header = header.lines().next().expect("a header").to_owned() + "\n";
        Copied::of(ALL_PARTS).write(file, &header).assert_refused(&[file, "has no row"]);
    }
}

#[test]
fn malformed_tensors_are_named() {
    Copied::of(ALL_PARTS)
        .write("final.safetensors", "short")
        .assert_refused(&["final.safetensors is truncated or not"]);
    let trace = Copied::of(ALL_PARTS);
    std::fs::rename(trace.path("gradients/222.safetensors"), trace.path("gradients/225.safetensors")).expect("renamed");
    trace.assert_refused(&["gradients/225.safetensors: ", "225"]);
    for name in ["net.stem.1.running_mean", "stem.0.weight"] {
        let trace = Copied::of(ALL_PARTS).tensors("gradients/222.safetensors", |file| {
            let tensor = Tensor { shape: vec![1], values: Values::F64(vec![0.0]) };
            file.tensors.insert(name.to_owned(), tensor);
        });
        trace.assert_refused(&["222.safetensors: ", name, "is no parameter of this network; name gradients as in"]);
    }
    let trace = Copied::of(ALL_PARTS).tensors("init.safetensors", |file| drop(file.tensors.remove("net.linear.bias")));
    trace.assert_refused(&["init.safetensors: 1 of", "`net.linear.bias`"]);
    let trace = Copied::of(ALL_PARTS);
    for child in ["124", "222", "431"] {
        std::fs::remove_file(trace.path(&format!("gradients/{child}.safetensors"))).expect("a file");
    }
    trace.assert_refused(&["gradients: has no CHILD.safetensors; add one, or remove the folder"]);
    let renamed = |name: &'static str| {
        Copied::of(ALL_PARTS).tensors("predictions.safetensors", |file| {
            let classes = file.tensors.remove("111/running").expect("classes");
            file.tensors.insert(name.to_owned(), classes);
        })
    };
    renamed("111").assert_refused(&["predictions.safetensors: tensor `111` must be called CHILD/NORM"]);
    renamed("111/recalibrated").assert_refused(&["tensor `111/recalibrated`: `recalibrated` cannot be replayed"]);
    let short = Copied::of(ALL_PARTS).tensors("predictions.safetensors", |file| {
        file.tensors.insert("111/running".to_owned(), Tensor { shape: vec![2], values: Values::I64(vec![1, 2]) });
    });
    short.assert_refused(&["tensor `111/running`: it is I64 [2], but must be I64 [360]"]);
}

#[test]
fn mini_batches_and_spaces_beside_the_trace_are_found() {
    let space = format!("{}/spaces/zhang64.toml", env!("CARGO_MANIFEST_DIR"));
    let trace = Copied::of(ALL_PARTS).replace("trace.toml", "space = \"zhang64\"", "space = \"own.toml\"").replace(
        "trace.toml",
        "order = \"explicit\"",
        "order = \"explicit\"\nbatches = \"listed.csv\"",
    );
    std::fs::copy(space, trace.path("own.toml")).expect("a copy");
    std::fs::rename(trace.path("batches.csv"), trace.path("listed.csv")).expect("renamed");
    trace.shop.run("replay trace");
}
