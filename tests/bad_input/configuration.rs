//! Keys and values of a configuration, and arguments.

use crate::common::command::{SMALL, Workshop};
use crate::{files, half, not_begun, refused};

#[test]
fn an_unknown_key_is_named_with_those_that_exist() {
    let shop = Workshop::new();
    not_begun(
        &shop,
        "small.toml --set optimizer.learnig_rate=1",
        &["error: --set optimizer.learnig_rate=1: ", "`learnig_rate`", "`learning_rate`"],
    );
    std::fs::write(shop.path("key.toml"), SMALL.replace("cells = 2", "cell = 2")).expect("a file");
    not_begun(&shop, "key.toml", &["key.toml: line 7", "`cell`", "`cells`"]);
    not_begun(&shop, "swift", &["no preset `swift`", "quick, paper, fashion"]);
    not_begun(&shop, "small.toml --set network.space=zhang65", &["`zhang65`", "`zhang64`"]);
}

#[test]
fn a_wrong_type_or_value_is_named_with_its_key() {
    let shop = Workshop::new();
    std::fs::write(shop.path("type.toml"), SMALL.replace("steps = 12", "steps = \"twelve\"")).expect("a file");
    not_begun(&shop, "type.toml", &["type.toml: line 3", "\"twelve\"", "expected u64"]);
    let fast = ["error: --set optimizer.learning_rate=fast: ", "\"fast\""];
    not_begun(&shop, "small.toml --steps 3 --set name=run --set optimizer.learning_rate=fast --set replicas=2", &fast);
    not_begun(&shop, "quick --set optimizer.learning_rate=fast", &fast);
    // What is wrong without any assignment is blamed on the file.
    not_begun(&shop, "type.toml --set name=run", &["error: type.toml: ", "\"twelve\""]);
    not_begun(&shop, "small.toml --set data.batch=-3", &["`-3`", "data.batch"]);
    not_begun(&shop, "small.toml --set optimizer.momentum=1.5", &["`optimizer.momentum`", "below 1, not 1.5"]);
    not_begun(&shop, "small.toml --set steps", &["--set steps: write KEY=VALUE"]);
    not_begun(&shop, "small.toml --set data.batch=0", &["batch size is 0", "at least 1"]);
    not_begun(&shop, "small.toml --threads 0", &["--threads", "at least 1"]);
    not_begun(&shop, "small.toml --set evaluation.norm=[\"batch\",\"batch\"]", &["`evaluation.norm`", "batch twice"]);
    not_begun(&shop, "small.toml --set data.train_images=5000", &["train_images = 5000", "1437"]);
    not_begun(&shop, "small.toml --set data.validation=test", &["`digits` has no test file", "held_out"]);
}

#[test]
fn what_does_not_fit_a_search_is_named_with_its_key() {
    let shop = Workshop::new();
    let mixture = "small.toml --set step.children=mixture --set step.order=lexicographic";
    for (options, parts) in [
        (
            "--set step.lanes=2",
            ["`step.children` = \"mixture\" trains all candidates in one lane", "leave out step.lanes"],
        ),
        ("--set step.order=permutation", ["`step.children` = \"mixture\"", "step.order"]),
        ("--set network.sharing=none", ["`network.sharing` must be \"all\" for a mixture", "of all children"]),
        ("--set architecture.learning_rate=-1", ["`architecture.learning_rate`", "at least 0, not -1"]),
        ("--set architecture.betas=[0.5,1.0]", ["`architecture.betas`", "below 1, not 1"]),
        ("--set architecture.portion=1.0", ["`architecture.portion` must be above 0 and below 1", "not 1"]),
        (
            "--set architecture.portion=0.001",
            ["`architecture.portion` = 0.001 leaves", "none of 100 images; move it towards 0.5"],
        ),
        ("--set architecture.rate=1", ["unknown field `rate`", "expected one of `learning_rate`, `betas`"]),
        ("--set data.order=explicit", ["`data.order` is \"explicit\"", "architecture.batches must name a CSV file"]),
    ] {
        not_begun(&shop, &format!("{mixture} {options}"), &parts);
    }
    let needed = "set step.children = \"mixture\"";
    not_begun(&shop, "small.toml --set architecture.portion=0.4", &["`architecture` is for a search", needed]);
    not_begun(&shop, "small.toml --set evaluation.children=derived", &["`evaluation.children` = \"derived\"", needed]);
}

#[test]
fn keys_of_a_step_decay_that_do_not_fit_are_named() {
    let shop = Workshop::new();
    for (key, value) in [("milestones", "[3]"), ("step_size", "3"), ("gamma", "0.5")] {
        let needs = format!("`optimizer.{key}` needs optimizer.schedule = \"step_decay\"");
        for schedule in ["cosine", "constant"] {
            let options = format!("--set optimizer.schedule={schedule} --set optimizer.{key}={value}");
            not_begun(&shop, &format!("small.toml {options}"), &[&needs]);
        }
    }
    let ascend = "`optimizer.milestones` must be at least 1 and ascend, each named once";
    let gamma = "`optimizer.gamma` must be a finite number above 0";
    for (options, part) in [
        ("", "`optimizer.milestones` or optimizer.step_size must say when the rate decays"),
        ("gamma=0.5", "`optimizer.milestones` or optimizer.step_size must say when the rate decays"),
        ("milestones=[3] step_size=2", "`optimizer.step_size` and optimizer.milestones exclude each other"),
        ("step_size=0", "`optimizer.step_size` must be at least 1"),
        ("milestones=[0,3]", ascend),
        ("milestones=[5,3]", ascend),
        ("milestones=[3,3]", ascend),
        ("step_size=2 gamma=0", gamma),
        ("step_size=2 gamma=-0.1", gamma),
        ("milestones=[3] gamma=nan", gamma),
        ("milestones=[3] gamma=inf", gamma),
        ("milestones=[-3]", "`-3`"),
        ("step_size=often", "\"often\""),
    ] {
        let options: String = options.split_whitespace().map(|key| format!(" --set optimizer.{key}")).collect();
        not_begun(&shop, &format!("small.toml --set optimizer.schedule=step_decay{options}"), &[part]);
    }
}

#[test]
fn arguments_that_cannot_be_parsed_are_told_in_one_sentence() {
    let shop = Workshop::new();
    for (arguments, parts) in [
        ("train quick --stpes 3", ["unexpected argument '--stpes' found; ", "'--steps'"]),
        ("train", ["the following required arguments were not provided:", "<CONFIG>"]),
        ("eval", ["the following required arguments were not provided:", "<RUN>"]),
        ("train quick --steps many", ["invalid value 'many' for '--steps <STEPS>'", "invalid digit"]),
        ("train quick --device gpu", ["invalid value 'gpu' for '--device <DEVICE>'", "cuda:N or emulator"]),
        ("train quick --data nothing", ["unknown data source `nothing`", "`cifar10:PATH`"]),
        ("train --resume run --steps 3", ["'--resume <RUN>' cannot be used with", "'--steps <STEPS>'"]),
        ("interfer run", ["unrecognized subcommand 'interfer'", "'interfere'"]),
    ] {
        let output = shop.command(arguments).output().expect("the program starts");
        let error = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2), "crosstalk {arguments}: {error}");
        let one = error.starts_with("error: ") && error.lines().count() == 1 && error.ends_with("can be given\n");
        assert!(one && parts.iter().all(|part| error.contains(part)), "crosstalk {arguments}: {error}");
    }
}

#[test]
fn a_configuration_that_is_missing_truncated_or_no_text_is_named() {
    let shop = Workshop::new();
    not_begun(&shop, "nowhere.toml", &["nowhere.toml cannot be read", "check the path"]);
    std::fs::write(shop.path("bytes.toml"), [0xff, 0xfe, 0x00]).expect("a file");
    not_begun(&shop, "bytes.toml", &["bytes.toml cannot be read", "must be a TOML file"]);
    std::fs::write(shop.path("empty.toml"), "").expect("a file");
    not_begun(&shop, "empty.toml", &["empty.toml", "missing field `name`"]);
    shop.train("run", "");
    std::fs::remove_file(shop.path("run/result.toml")).expect("a file");
    half(&shop, &shop.path("run/run.toml"), "run/run.toml");
    let before = files(&shop.path("run"));
    refused(&shop, "train --resume run", &["run/run.toml"]);
    assert_eq!(files(&shop.path("run")), before);
}

#[test]
fn options_that_would_do_nothing_are_refused() {
    let shop = Workshop::new();
    for (options, parts) in [
        (
            "--set network.sharing.prefix=3",
            ["`network.sharing.prefix` = 3 cells", "the network has, 2; share at most 2"],
        ),
        (
            "--set network.children=[\"111\"]",
            ["`network.children` names children", "network.sharing = \"all\" gives none"],
        ),
        ("--simd portable --device reference", ["--simd", "but --device reference computes; leave it out"]),
        ("--simd portable --set precision=f64", ["--simd", "but --device reference computes; leave it out"]),
        (
            "--set optimizer.nesterov=true --set optimizer.momentum=0",
            ["`optimizer.nesterov`", "no effect without momentum"],
        ),
        ("--set interference.norm=[]", ["`interference.norm` names no regime", "running, batch, recalibrated"]),
        (
            "--set optimizer.schedule=cosine --set optimizer.minimum_learning_rate=0.5",
            ["`optimizer.minimum_learning_rate` is 0.5, above optimizer.learning_rate = ", "lower it, or leave it out"],
        ),
    ] {
        not_begun(&shop, &format!("small.toml {options}"), &parts);
    }
    let shared = "small.toml --steps 1 --set evaluation.at_end=false --set network.sharing.prefix=2";
    shop.run(&format!("train {shared} --out all-but-the-head"));
    shop.run("train small.toml --steps 1 --set optimizer.schedule=cosine --set optimizer.learning_rate=0 --out still");
    let written = std::fs::read_to_string(shop.path("still/run.toml")).expect("a file");
    assert!(written.contains("minimum_learning_rate = 0.0"), "{written}");
}
