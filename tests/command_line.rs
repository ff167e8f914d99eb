//! What a user sees of every subcommand.

mod common;

use common::command::{Workshop, rows};
use crosstalk::records::InterferenceRecord;
use crosstalk::tensors::TensorFile;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

const CHECKPOINT: &str = "run/checkpoints/step-00000012/replica-0.safetensors";

/// The state hash, which is the last thing printed.
fn hash(printed: &str) -> &str {
    let last = printed.lines().last().expect("a line");
    let hash = last.strip_prefix("state ").expect("the state hash as the last line");
    assert!(hash.len() == 64 && hash.bytes().all(|digit| digit.is_ascii_hexdigit()), "{last}");
    hash
}

/// First columns of a ranking's rows: rank and child.
fn ranked(printed: &str) -> Vec<(usize, String)> {
    let cells = |line: &str| -> Option<(usize, String)> {
        let mut words = line.split_whitespace();
        let (rank, child) = (words.next()?.parse().ok()?, words.next()?);
        (child.len() == 3 && line.contains('%')).then(|| (rank, child.to_owned()))
    };
    printed.lines().filter_map(cells).collect()
}

#[test]
fn training_prints_ranking_interference_and_where_it_is_stored() {
    let shop = Workshop::new();
    let printed = shop.run("train quick --steps 3 --set evaluation.batch=90");
    let ranking = ranked(&printed);
    assert!(ranking.iter().map(|(rank, _)| *rank).eq(1..=64), "{printed}");
    let mut children: Vec<_> = ranking.into_iter().map(|(_, child)| child).collect();
    children.sort();
    children.dedup();
    assert_eq!(children.len(), 64);
    assert!(printed.contains("images/s") && printed.contains("GFLOP/s"), "{printed}");
    for norm in ["batch", "running", "recalibrated"] {
        let summary = format!("Mean change under {norm} statistics by number of shared candidates");
        assert!(printed.contains(&summary), "{printed}");
        let heat_map = format!("runs/quick/plots/interference-end-{norm}.svg");
        assert!(printed.contains(&format!("Stored in {heat_map}")), "{printed}");
        assert!(std::fs::read_to_string(shop.path(&heat_map)).expect("a heat map").contains("</svg>"));
    }
    assert!(printed.contains("zero gradient"), "{printed}");
    assert!(printed.contains("Stored in runs/quick\n"), "{printed}");
    assert_eq!(hash(&printed), shop.recorded("runs/quick").state_hash);
}

#[test]
fn a_run_goes_to_a_folder_of_its_name_then_to_the_next_free_one() {
    let shop = Workshop::new();
    let first = shop.run("train small.toml");
    let before = std::fs::read(shop.path("runs/small/steps.parquet")).expect("a file");
    let second = shop.run("train small.toml");
    assert!(first.contains("Stored in runs/small\n") && second.contains("Stored in runs/small-2\n"), "{second}");
    assert_eq!(std::fs::read(shop.path("runs/small/steps.parquet")).expect("a file"), before);
    shop.run("train small.toml --out elsewhere/deep");
    assert!(shop.path("elsewhere/deep/result.toml").is_file());
}

#[test]
fn the_printed_configuration_trains_the_same_run() {
    let shop = Workshop::new();
    let options = "--set optimizer.learning_rate=0.05 --set step.order=permutation --set seed.base=7";
    let printed = shop.run(&format!("train small.toml --print-config {options}"));
    std::fs::write(shop.path("printed.toml"), &printed).expect("a file");
    assert!(!shop.path("runs").exists(), "printing a configuration began a run");
    assert_eq!(shop.run("train printed.toml --print-config"), printed);
    let again = shop.run("train printed.toml --out again");
    assert_eq!(hash(&again), shop.train("run", options).state_hash);
    assert_ne!(hash(&again), shop.train("other", "").state_hash);
    assert_eq!(std::fs::read_to_string(shop.path("again/run.toml")).expect("a file"), printed);
}

#[test]
fn a_configuration_is_printed_without_its_data() {
    let shop = Workshop::new();
    let output =
        shop.command("train paper --data cifar10:nowhere --print-config").output().expect("the program starts");
    let (printed, note) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && note.starts_with("note: ") && note.contains("nowhere"), "{note}");
    for line in ["source = \"cifar10:nowhere\"", "channels = 16", "convolution_bias = false"] {
        assert!(printed.lines().any(|found| found == line), "{line} is missing in {printed}");
    }
    let wrong = shop.refused("train paper --data cifar10:nowhere --print-config --set network.space=nowhere");
    assert!(wrong.contains("nowhere") && wrong.contains("zhang64"), "{wrong}");
}

#[test]
fn a_run_records_the_precision_that_it_was_computed_in() {
    let shop = Workshop::new();
    let error = shop.refused("train small.toml --steps 2 --set precision=f64 --device cpu");
    assert!(error.contains("computes in f32") && error.contains("--set precision=f32"), "{error}");
    for (options, precision, arithmetic) in [
        ("--set precision=f64", "f64", "reference f64"),
        ("--device reference", "f64", "reference f64"),
        ("--device cpu", "f32", "cpu"),
    ] {
        let out = format!("run-{}", options.replace(' ', "-"));
        let told = shop.run(&format!("train small.toml --steps 2 {options} --out {out}"));
        let config = std::fs::read_to_string(shop.path(&out).join("run.toml")).expect("a file");
        assert!(config.contains(&format!("precision = \"{precision}\"")), "{config}");
        assert!(told.contains(&format!("on {arithmetic}")), "{told}");
    }
}

#[test]
fn a_preset_copied_to_a_file_is_the_same_run() {
    let shop = Workshop::new();
    let quick = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets/quick.toml");
    std::fs::copy(quick, shop.path("copy.toml")).expect("a file");
    assert_eq!(shop.run("train copy.toml --print-config"), shop.run("train quick --print-config"));
}

#[test]
fn every_preset_parses() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        found.push(path.file_stem().expect("a name").to_string_lossy().into_owned());
    }
    let mut named = crosstalk::train::config::built_in_names();
    named.sort_unstable();
    found.sort();
    assert_eq!(found, named);
    let shop = Workshop::new();
    for name in named {
        let printed = shop.run(&format!("train {name} --data digits --set data.mean=[0.1] --set data.std=[0.1] --set data.validation=held_out --set data.train_images=300 --set data.evaluation_images=9 --print-config"));
        assert!(printed.contains(&format!("name = \"{name}\"")), "{printed}");
    }
}

#[test]
fn overridden_keys_and_threads_are_told() {
    let shop = Workshop::new();
    let plain = shop.train("run", "");
    for threads in [1, 3] {
        let printed = shop.run(&format!("train small.toml --threads {threads} --out threads-{threads}"));
        assert!(printed.contains(&format!("with {threads} thread(s)")), "{printed}");
        assert_eq!(hash(&printed), plain.state_hash);
    }
    let longer = shop.train("longer", "--set steps=14 --set evaluation.norm=[\"batch\"]");
    assert_eq!(longer.steps.len(), 14);
    assert!(longer.accuracy.iter().all(|row| row.norm == "batch"));
}

/// An IDX file of bytes.
fn idx(path: &Path, magic: u32, sizes: &[u32], byte: impl Fn(usize) -> u8) {
    let header = std::iter::once(&magic).chain(sizes).flat_map(|word| word.to_be_bytes());
    let count: u32 = sizes.iter().product();
    let bytes: Vec<u8> = header.chain((0..count as usize).map(byte)).collect();
    std::fs::write(path, bytes).expect("a file");
}

#[test]
fn data_sets_in_files_are_trained_on() {
    let shop = Workshop::new();
    std::fs::create_dir(shop.path("shapes")).expect("a folder");
    idx(&shop.path("shapes/train-images-idx3-ubyte"), 0x803, &[200, 8, 8], |byte| (byte * byte % 251) as u8);
    idx(&shop.path("shapes/train-labels-idx1-ubyte"), 0x801, &[200], |image| (image % 3) as u8);
    let printed = shop.run("train small.toml --steps 2 --set data.evaluation_images=20 --data idx:shapes");
    assert!(printed.contains("zhang64 on idx:shapes, 100 training and 20 evaluation images"), "{printed}");
    assert_eq!(shop.recorded("runs/small").steps.len(), 2);

    let mut file = std::fs::File::create(shop.path("some.bin")).expect("a file");
    for image in 0..60u8 {
        file.write_all(&[image % 10]).expect("a byte");
        file.write_all(&(0..3072u32).map(|byte| (byte * u32::from(image) % 249) as u8).collect::<Vec<_>>())
            .expect("bytes");
    }
    let color =
        "train small.toml --steps 2 --set data.train_images=40 --set data.evaluation_images=6 --data cifar10:some.bin";
    let printed = shop.run(color);
    assert!(printed.contains("zhang64 on cifar10:some.bin, 40 training and 6 evaluation images"), "{printed}");
    let inspected = shop.run("data inspect cifar10:some.bin");
    assert!(inspected.contains("images     32x32, 3 channel(s)") && inspected.contains("airplane"), "{inspected}");
    let inspected = shop.run("data inspect idx:shapes");
    assert!(inspected.contains("classes    3") && inspected.contains("training 200, test none"), "{inspected}");
}

#[test]
fn eval_ranks_the_children_of_a_run_and_stores_them() {
    let shop = Workshop::new();
    let run = shop.train("run", "");
    let printed = shop.run("eval run --children all --norm running,batch,recalibrated");
    assert!(printed.contains("Evaluated 64 children in") && printed.contains(" images/s "), "{printed}");
    assert_eq!(ranked(&printed).len(), 64);
    assert!(printed.contains("Stored in run/evaluations/step-00000012.parquet"), "{printed}");
    assert_eq!(hash(&printed), run.state_hash);
    let again = shop.run("eval run --children 111,234");
    assert_eq!(ranked(&again).len(), 2);
    assert!(again.contains("step-00000012-2.parquet"), "{again}");
    shop.run(&format!("eval {CHECKPOINT} --children 111 --out one.parquet"));
    assert!(shop.path("one.parquet").is_file());
}

#[test]
fn eval_takes_the_place_of_no_file_and_says_so_before_it_works() {
    let shop = Workshop::new();
    shop.train("run", "");
    for file in [CHECKPOINT, "run/accuracy.parquet", "run/run.toml"] {
        let before = std::fs::read(shop.path(file)).expect("a file");
        let refused = shop.refused(&format!("eval run --children 111 --out {file}"));
        assert!(refused.contains(&format!("{file} exists already; name another file with --out")), "{refused}");
        assert_eq!(std::fs::read(shop.path(file)).expect("a file"), before, "{file}");
    }
    let refused = shop.refused("eval run --children 111 --out nowhere/one.parquet");
    assert!(refused.contains("nowhere is no folder; make it"), "{refused}");
}

#[test]
fn interfere_prints_the_matrix_and_stores_it() {
    let shop = Workshop::new();
    let run = shop.train("run", "");
    let printed = shop.run("interfere run --children 111,112,444 --norm batch");
    assert!(printed.contains("Interference at step 12 under batch statistics"), "{printed}");
    assert!(printed.contains("Stored in run/interference/step-00000012.parquet"), "{printed}");
    let rows: Vec<crosstalk::records::InterferenceRecord> =
        common::command::rows(&shop.path("run/interference/step-00000012.parquet"));
    assert_eq!(rows.len(), 4 * 3);
    assert_eq!(hash(&printed), run.state_hash);
    assert!(shop.path("run/plots/interference-step-00000012-batch.svg").is_file());
}

#[test]
fn spaces_data_and_weights_are_described() {
    let shop = Workshop::new();
    shop.train("run", "");
    assert!(shop.run("space list").lines().any(|line| line.starts_with("zhang64")));
    assert!(shop.run("space show zhang64").contains("sep_conv_3x3"));
    assert!(shop.run("data list").contains("digits"));
    assert!(shop.run("data inspect digits").contains("CC BY 4.0"));
    assert!(shop.run(&format!("weights inspect {CHECKPOINT}")).contains("net.linear.bias"));
    assert!(shop.run(&format!("weights diff {CHECKPOINT} {CHECKPOINT}")).contains("0 beyond"));
    shop.train("other", "--set seed.base=1");
    let other = CHECKPOINT.replace("run/", "other/");
    let output = shop.command(&format!("weights diff {CHECKPOINT} {other}")).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("differs"));
}

#[test]
fn a_preset_starts_from_weights_with_the_names_of_pytorch() {
    let shop = Workshop::new();
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces/zhang64-skip/init.safetensors");
    std::fs::copy(weights, shop.path("init.safetensors")).expect("a file");
    let printed = shop.run("train quick --set network.cells=2 --steps 2 --from init.safetensors --set interference.children=111,222 --set evaluation.children=every:4 --out from");
    let own = shop.run("train quick --set network.cells=2 --steps 2 --set interference.children=111,222 --set evaluation.children=every:4 --out own");
    assert_ne!(hash(&printed), hash(&own));
    // The order of children and images is the same; the first loss is not, because the weights are others.
    let (from, own) = (shop.recorded("from"), shop.recorded("own"));
    assert_eq!(from.steps[0].child, own.steps[0].child);
    assert_ne!(from.steps[0].loss, own.steps[0].loss);
}

#[test]
fn help_is_there_for_every_subcommand() {
    let shop = Workshop::new();
    for command in [
        "",
        "train",
        "eval",
        "interfere",
        "metrics",
        "replay",
        "search",
        "search darts",
        "space",
        "space list",
        "space show",
        "data",
        "data list",
        "data inspect",
        "weights",
        "weights inspect",
        "weights diff",
    ] {
        let printed = shop.run(&format!("{command} --help"));
        assert!(printed.contains(&format!("Usage: crosstalk {command}").trim_end().to_owned()), "{printed}");
    }
    assert!(shop.run("--version").starts_with("crosstalk "));
}

#[test]
fn children_that_are_trained_are_those_that_are_evaluated_and_measured() {
    let shop = Workshop::new();
    for sharing in ["all", "none"] {
        let name = format!("run-{sharing}");
        let options = format!("--children 213,111,444 --set network.sharing={sharing} --set replicas=2");
        let printed =
            shop.run(&format!("train quick --steps 3 --set evaluation.norm=[\"batch\"] --out {name} {options}"));
        let evaluated: BTreeSet<String> = shop.recorded(&name).accuracy.into_iter().map(|row| row.child).collect();
        assert_eq!(evaluated, ["111", "213", "444"].map(str::to_owned).into(), "{printed}");
        let measured: Vec<InterferenceRecord> = rows(&shop.path(&format!("{name}/interference/end.parquet")));
        assert_eq!(measured.len(), 3 * 3 * (3 + 1));
        let replica = format!("measured in replica 0 alone; `crosstalk interfere {name} --replica 1` measures another");
        assert!(printed.contains(&replica), "{printed}");
    }
}

#[test]
fn a_child_alone_is_trained_and_evaluated_and_nothing_else_moves() {
    let shop = Workshop::new();
    let arguments = "--steps 4 --set evaluation.every_steps=2 --child 213";
    let alone = shop.train("alone", arguments);
    assert!(alone.steps.iter().all(|step| step.child.as_deref() == Some("213")) && alone.steps.len() == 4);
    assert!(alone.accuracy.iter().all(|row| row.child == "213") && !alone.accuracy.is_empty());
    // Draws of many children give way to it.
    let fair = shop.train("fair", &format!("{arguments} --set step.children=fair --set step.order=lexicographic"));
    assert_eq!(fair.state_hash, alone.state_hash);

    let checkpoint = "checkpoints/step-00000004/replica-0.safetensors";
    let untrained = shop.train("untrained", "--steps 4 --child 213 --set optimizer.learning_rate=0");
    assert_ne!(untrained.state_hash, alone.state_hash);
    let read = |run: &str| TensorFile::read(&shop.path(run).join(checkpoint)).expect("weights").tensors;
    let (before, after) = (read("untrained"), read("alone"));
    let weights = after.iter().filter(|(name, _)| name.ends_with("weight") && !name.starts_with("momentum/"));
    let mut moved = Vec::new();
    for (name, tensor) in weights.filter(|(name, _)| name.contains(".dag.0.0._ops.")) {
        if before[name].values != tensor.values {
            moved.push(name);
        }
    }
    assert!(
        !moved.is_empty() && moved.iter().all(|name| name.contains("._ops.1.")),
        "edge 0->1 takes candidate 2: {moved:?}"
    );
}

#[test]
fn the_standalone_recipe_of_nasbench201_learns_and_tracks_the_normalizations_of_its_cells() {
    let shop = Workshop::new();
    let child = "|nor_conv_1x1~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_3x3~2|";
    let run = |options: &str| {
        shop.run(&format!(
            "train nasbench201-standalone --data digits --set data.mean=[0.3] --set data.std=[0.4] --set data.validation=held_out \
             --set data.batch=16 --set network.cells=1 --set network.channels=8 --steps 2 --child {child} {options}"
        ));
    };
    run("--out alone");
    let tensors =
        TensorFile::read(&shop.path("alone/checkpoints/step-00000002/replica-0.safetensors")).expect("weights").tensors;
    let of_cell = |what: &str| format!("cells.0.edges.1<-0.2.op.2.{what}");
    for (what, initial) in [("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)] {
        assert!(tensors[&of_cell(what)].values.iter_f64().any(|value| value != initial), "{what} did not move");
    }
    run(
        "--out as-searched --set network.affine=false --set network.track_running_stats=false --set evaluation.norm=[\"batch\"]",
    );
    let searched = shop.path("as-searched/checkpoints/step-00000002/replica-0.safetensors");
    let tensors = TensorFile::read(&searched).expect("weights").tensors;
    assert!(!tensors.contains_key(&of_cell("weight")) && !tensors.contains_key(&of_cell("running_mean")));
}

#[test]
fn several_children_or_none_are_no_child_alone() {
    let shop = Workshop::new();
    let error = shop.refused("train small.toml --child 213,214");
    assert!(error.contains("213,214") && error.contains("3 edges"), "{error}");
}

#[test]
fn a_child_is_drawn_to_a_file_and_a_space_to_standard_output() {
    let shop = Workshop::new();
    assert_eq!(shop.run("space draw zhang64 --child 213 --output child.svg"), "Stored in child.svg\n");
    let picture = std::fs::read_to_string(shop.path("child.svg")).expect("a picture");
    assert!(picture.starts_with("<?xml") && picture.contains("zhang64, child 213"), "{picture}");
    let printed = shop.run("space draw zhang64");
    assert!(printed.starts_with("<?xml") && printed.ends_with("</svg>\n"), "{printed}");
    let error = shop.refused("space draw zhang64 --child 215");
    assert!(error.contains("`5` at position 3"), "{error}");
}
