//! What is no trace is refused with its place and a way out.

use crate::copied::Copied;
use crate::{ALL_PARTS, committed};
use crosstalk::tensors::{Tensor, Values};

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
