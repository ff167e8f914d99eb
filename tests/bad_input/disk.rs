//! Disks that are full.

use crate::common::command::Workshop;
use crate::{assert_sentence, files};
use crosstalk::records::{Journal, StepRecord};
use std::process::Output;

/// Runs the program where no file may grow beyond a number of 512-byte blocks, which the kernel reports as it would a full disk.
fn with_small_files(shop: &Workshop, blocks: u64, arguments: &str) -> Output {
    let shell = format!(r#"trap "" XFSZ; ulimit -f {blocks}; exec "$0" {arguments}"#);
    let mut command = std::process::Command::new("sh");
    command.current_dir(shop.path("")).args(["-c", &shell, env!("CARGO_BIN_EXE_crosstalk")]);
    command.output().expect("the shell starts")
}

#[test]
fn a_full_disk_stops_the_run_and_its_last_checkpoint_resumes() {
    let shop = Workshop::new();
    // The journal outgrows the checkpoints, which have to be written.
    let long = "--set steps=9000 --set data.batch=2 --set network.channels=1 --set network.cells=1 --set evaluation.every_steps=9000 \
                --set checkpoint.every_steps=50";
    let arguments = format!("train small.toml --out stopped {long}");
    let output = with_small_files(&shop, 600, &arguments);
    let told = [
        "the run in stopped stopped: cannot write stopped/steps.journal: the file would exceed the size limit; ",
        "raise it (ulimit -f) and try again with `crosstalk train --resume stopped`",
    ];
    assert_sentence(&arguments, &output, &told);
    let before: Vec<StepRecord> = Journal::read(&shop.path("stopped/steps.journal")).expect("a journal");
    assert!(before.iter().map(|row| row.step).eq(0..before.len() as u64));
    shop.run("train --resume stopped");
    let (resumed, whole) = (shop.recorded("stopped"), shop.train("whole", long));
    assert_eq!(resumed, whole);
    assert_eq!(resumed.steps[..before.len()], before);
}

/// Runs a shell script in a workshop where `disk` is a file system of so many KiB of its own; `None` where the system does not let
/// an ordinary user have one.
fn on_a_small_disk(shop: &Workshop, kibibytes: u32, script: &str) -> Option<Output> {
    let shell = |script: &str| {
        let mount = format!("mkdir -p disk && mount -t tmpfs -o size={kibibytes}k tmpfs disk && {{ {script}\n}}");
        let mut command = std::process::Command::new("unshare");
        command.current_dir(shop.path("")).args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount]);
        command.arg(env!("CARGO_BIN_EXE_crosstalk")).output()
    };
    shell("true").ok().filter(|output| output.status.success())?;
    Some(shell(script).expect("the shell starts"))
}

#[test]
fn a_disk_without_room_stops_the_run_and_names_what_goes_on_with_it() {
    // The first to find no room: a journal that grows, or a checkpoint.
    let small = "--set network.channels=1 --set network.cells=1 --set data.batch=2 --set evaluation.at_end=false \
                 --set evaluation.every_steps=9000";
    for (kibibytes, options, file) in [
        (200, format!("{small} --set steps=5000 --set checkpoint.every_steps=9000"), "steps.journal"),
        (300, "--set checkpoint.every_steps=1 --set checkpoint.keep_all=true".to_owned(), "replica-0.safetensors"),
    ] {
        let shop = Workshop::new();
        let begun = format!("\"$0\" train small.toml --out disk/run {options}; test $? -eq 1 || exit 3");
        let more = "mount -o remount,size=100m disk && \"$0\" train --resume disk/run && cp -r disk/run kept";
        let Some(output) = on_a_small_disk(&shop, kibibytes, &format!("{begun}\n{more}")) else {
            eprintln!("not tested: this system gives users no file system of their own");
            return;
        };
        let error = String::from_utf8(output.stderr).expect("text");
        assert!(output.status.success(), "{error}");
        assert!(error.starts_with("error: the run in disk/run stopped: cannot write disk/run/"), "{error}");
        assert!(error.contains(file) && error.lines().count() == 1, "{error}");
        let way_out = "the disk is full; free some space and try again with `crosstalk train --resume disk/run`\n";
        assert!(error.ends_with(way_out), "{error}");
        assert_eq!(shop.recorded("kept"), shop.train("whole", &options));
    }
}

#[test]
fn a_run_that_finds_no_room_to_begin_leaves_no_folder() {
    let shop = Workshop::new();
    let script = "\"$0\" train small.toml --out disk/run; test $? -eq 1 && test ! -e disk/run";
    if let Some(output) = on_a_small_disk(&shop, 8, script) {
        let error = String::from_utf8(output.stderr).expect("text");
        assert!(output.status.success() && error.ends_with("free some space and try again\n"), "{error}");
    }
}

#[test]
fn a_disk_too_full_for_results_leaves_the_run_as_it_was() {
    let shop = Workshop::new();
    shop.train("run", "");
    let before = files(&shop.path("run"));
    for arguments in ["eval run --out run/results.parquet", "interfere run --children every:4 --out results"] {
        let output = with_small_files(&shop, 1, arguments);
        assert_sentence(arguments, &output, &["cannot write", "size limit"]);
    }
    assert_eq!(files(&shop.path("run")), before);
}
