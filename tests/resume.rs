//! A run that is killed, wherever, and resumed ends with the bits of a run that was not.

mod common;

use common::command::{DARTS, NASBENCH201, Recorded, Workshop, searches};
use crosstalk::records::{AccuracyRecord, InterferenceRecord, Journal, Record, StepRecord, read_parquet};
use crosstalk::rng::{Purpose, Stream};
use crosstalk::simd::Level;
use crosstalk::tensors::TensorFile;
use crosstalk::train::newest_checkpoint;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

/// Long enough that a kill lands between its steps, evaluations and checkpoints.
const LONG: &str = "--set steps=120 --set replicas=2 --set checkpoint.every_steps=3 --set evaluation.every_steps=7 \
                    --set evaluation.children=every:2 --set interference.children=every:2";

/// Starts the program, lets it live so long, and kills it. Returns whether it was killed before it ended.
fn killed_after(shop: &Workshop, arguments: &str, life: Duration) -> bool {
    let mut process = shop.command(arguments).spawn().expect("the program starts");
    let born = Instant::now();
    while born.elapsed() < life {
        if let Some(status) = process.try_wait().expect("a child process") {
            let mut error = String::new();
            process.stderr.take().expect("a pipe").read_to_string(&mut error).expect("text");
            assert!(status.success(), "crosstalk {arguments}: {error}");
            return false;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    process.kill().expect("a child process");
    !process.wait().expect("a child process").success()
}

/// Kills the run in `name` again and again, each time a random while after it started, until it has ended or `most` kills are
/// done; then lets it end.
fn killed_again_and_again(shop: &Workshop, name: &str, options: &str, seed: u64, most: usize) -> usize {
    let mut stream = Stream::new(seed, Purpose::Children, 0, 0);
    let mut kills = 0;
    let mut arguments = format!("train small.toml --out {name} {LONG} {options} --set seed.base={seed}");
    // A run may be killed after it has ended, before the process has.
    while kills < most && !shop.path(name).join("result.toml").exists() {
        let life = Duration::from_micros(u64::from(5_000 + stream.bounded(100_000)));
        if !killed_after(shop, &arguments, life) {
            break;
        }
        kills += 1;
        if shop.path(name).join("run.toml").exists() {
            arguments = format!("train --resume {name}");
        } else if shop.path(name).exists() {
            // Stopped before it began.
            std::fs::remove_dir_all(shop.path(name)).expect("a folder");
        }
    }
    if !shop.path(name).join("result.toml").exists() {
        shop.run(&arguments);
    }
    kills
}

fn assert_same(found: &Recorded, whole: &Recorded) {
    assert_eq!(found.state_hash, whole.state_hash);
    assert_eq!(found.replica_hashes, whole.replica_hashes);
    assert_eq!(found.steps, whole.steps);
    assert_eq!(found.accuracy, whole.accuracy);
    assert_eq!(found.alphas, whole.alphas);
}

/// The measurement at the end, and the pictures of it.
fn measured(folder: &Path) -> (Vec<InterferenceRecord>, BTreeMap<OsString, Vec<u8>>) {
    let entries = std::fs::read_dir(folder.join("plots")).expect("a folder").map(|entry| entry.expect("an entry"));
    let pictures = entries.map(|entry| (entry.file_name(), std::fs::read(entry.path()).expect("a file"))).collect();
    (common::command::rows(&folder.join("interference/end.parquet")), pictures)
}

/// Nothing but what a run leaves: no journal, no unfinished file, one checkpoint.
fn assert_tidy(folder: &Path) {
    let names = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect()
    };
    for name in names(folder) {
        assert!(!name.ends_with(".journal") && !name.ends_with(".partial"), "{name} is left");
    }
    assert_eq!(names(&folder.join("checkpoints")).len(), 1);
    if let Ok(results) = std::fs::read_dir(folder.join("interference")) {
        assert_eq!(results.count(), 1, "the measurement was written twice, or an unfinished one is left");
    }
}

/// Runs that are killed at random end as those that are not; `runs` are seeds and options.
fn ends_with_the_same_bits(runs: &[(u64, &str)]) {
    let shop = Workshop::new();
    let mut kills = 0;
    for &(seed, options) in runs {
        let whole = shop.train(&format!("whole-{seed}"), &format!("{LONG} {options} --set seed.base={seed}"));
        let name = format!("killed-{seed}");
        kills += killed_again_and_again(&shop, &name, options, seed, 12);
        assert_same(&shop.recorded(&name), &whole);
        assert_eq!(measured(&shop.path(&name)), measured(&shop.path(&format!("whole-{seed}"))));
        assert_tidy(&shop.path(&name));
    }
    assert!(kills >= runs.len(), "only {kills} kills: the runs are too short for this test");
}

#[test]
fn a_run_killed_at_random_ends_with_the_same_bits() {
    ends_with_the_same_bits(&[(0, ""), (1, ""), (2, ""), (3, NASBENCH201), (4, NASBENCH201), (5, DARTS)]);
}

#[test]
fn a_search_killed_at_random_ends_with_the_same_bits() {
    let [zhang64, nasbench201, darts] = searches();
    let short = |search| format!("{search} --set steps=24");
    ends_with_the_same_bits(&[(6, &zhang64), (7, &short(nasbench201)), (8, &short(darts))]);
}

#[test]
fn a_search_killed_between_its_steps_goes_on_as_a_search() {
    for options in searches() {
        let shop = Workshop::new();
        let whole = stopped_run(&shop, &format!("{options} --set steps=60 --set checkpoint.every_steps=2"));
        shop.run("search darts --resume stopped --threads 1");
        assert_same(&shop.recorded("stopped"), &whole);
        assert_tidy(&shop.path("stopped"));
    }
}

#[test]
fn a_run_killed_at_random_after_its_last_step_measures_the_same() {
    let shop = Workshop::new();
    let options = "--set interference.children=every:12 --set interference.norm=[\"batch\",\"recalibrated\"]";
    let whole = shop.train("whole", options);
    let mut stream = Stream::new(5, Purpose::Children, 0, 0);
    // From the last checkpoint to the end of the process.
    let trained = |name: &str| shop.path(name).join("checkpoints/step-00000012").exists();
    let mut killed_before_the_end = 0;
    for round in 0..4 {
        let name = format!("killed-{round}");
        let mut arguments = format!("train small.toml --out {name} {options}");
        for _ in 0..6 {
            let mut process = shop.command(&arguments).spawn().expect("the program starts");
            while !trained(&name) && process.try_wait().expect("a child process").is_none() {
                std::thread::sleep(Duration::from_micros(100));
            }
            std::thread::sleep(Duration::from_micros(u64::from(stream.bounded(60_000))));
            process.kill().expect("a child process");
            process.wait().expect("a child process");
            assert!(trained(&name), "the run ended before it was trained");
            if shop.path(&name).join("result.toml").exists() {
                break;
            }
            killed_before_the_end += 1;
            arguments = format!("train --resume {name}");
        }
        if !shop.path(&name).join("result.toml").exists() {
            shop.run(&arguments);
        }
        assert_same(&shop.recorded(&name), &whole);
        assert_eq!(measured(&shop.path(&name)), measured(&shop.path("whole")));
        assert_tidy(&shop.path(&name));
    }
    assert!(killed_before_the_end >= 4, "only {killed_before_the_end} kills: the end is too short for this test");
}

/// A run in `stopped`, killed once it has a checkpoint after its first step, and the same run in `whole`.
fn stopped_run(shop: &Workshop, options: &str) -> Recorded {
    let whole = shop.train("whole", options);
    let mut process =
        shop.command(&format!("train small.toml --out stopped {options}")).spawn().expect("the program starts");
    let goes_on = || {
        let newest = newest_checkpoint(&shop.path("stopped")).expect("a folder");
        newest.is_some_and(|newest| !newest.ends_with("step-00000000"))
    };
    while !goes_on() {
        assert!(process.try_wait().expect("a child process").is_none(), "the run ended before it was killed");
        std::thread::sleep(Duration::from_micros(100));
    }
    process.kill().expect("a child process");
    process.wait().expect("a child process");
    assert!(!shop.path("stopped/result.toml").exists(), "the run ended before it was killed");
    whole
}

#[test]
fn a_run_killed_in_its_last_evaluation_goes_on_with_it() {
    let shop = Workshop::new();
    let whole = shop.train("whole", LONG);
    let rows: Vec<AccuracyRecord> = read_parquet(&shop.path("whole/accuracy.parquet")).expect("a file");
    let last = rows.iter().filter(|row| row.step == 120).count();
    assert!(last > 2, "the run has no evaluation at its end");
    // No row of the last evaluation was recorded, some, or all; and the end had not begun.
    for missing in [last, last / 2, 0] {
        let name = format!("missing-{missing}");
        shop.run(&format!("train small.toml {LONG} --out {name}"));
        for file in ["result.toml", "accuracy.parquet"] {
            std::fs::remove_file(shop.path(&name).join(file)).expect("a file");
        }
        Journal::create_with(&shop.path(&name).join("accuracy.journal"), &rows[..rows.len() - missing])
            .expect("a journal");
        let told = shop.run(&format!("train --resume {name}"));
        assert!(told.contains("Children after step 120"), "{told}");
        assert_same(&shop.recorded(&name), &whole);
        assert_tidy(&shop.path(&name));
    }
}

#[test]
fn a_space_file_that_was_edited_is_told() {
    let shop = Workshop::new();
    let zhang64 = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("spaces/zhang64.toml"));
    let zhang64 = zhang64.expect("a file").replace("name = \"zhang64\"", "name = \"mine\"");
    std::fs::write(shop.path("mine.toml"), &zhang64).expect("a file");
    let options = "--set network.space=mine.toml --set evaluation.at_end=false --steps 4";
    shop.run(&format!("train small.toml {options} --out run"));
    let edited = zhang64.replace("momentum = 0.4", "momentum = 0.9");
    assert_ne!(edited, zhang64);
    std::fs::write(shop.path("mine.toml"), &edited).expect("a file");
    let error = shop.refused("eval run");
    assert!(error.contains("was written with another definition of the space mine"), "{error}");
    std::fs::remove_file(shop.path("run/result.toml")).expect("a file");
    let error = shop.refused("train --resume run");
    assert!(error.contains("another definition of the space mine") && error.contains("--from"), "{error}");
    // What only describes it may change.
    std::fs::write(shop.path("mine.toml"), zhang64.replace("title = \"", "title = \"Mine: ")).expect("a file");
    shop.run("eval run --children every:2");
}

#[test]
fn a_run_without_a_word_on_checkpoints_has_one_every_epoch() {
    let shop = Workshop::new();
    let config = std::fs::read_to_string(shop.path("small.toml")).expect("a file");
    let silent: String = config.replace("every_steps = 4\n", "keep_all = true\n");
    assert_ne!(silent, config);
    std::fs::write(shop.path("silent.toml"), silent).expect("a file");
    shop.run("train silent.toml --steps 20 --set data.train_images=48 --set data.batch=8 --out run");
    let checkpoints = std::fs::read_dir(shop.path("run/checkpoints")).expect("a folder");
    let mut names: Vec<String> =
        checkpoints.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    assert_eq!(names, ["step-00000000", "step-00000006", "step-00000012", "step-00000018", "step-00000020"]);
}

#[test]
fn a_run_killed_before_its_first_checkpoint_begins_again() {
    let shop = Workshop::new();
    let whole = shop.train("whole", "");
    let config = std::fs::read(shop.path("whole/run.toml")).expect("a file");
    // Stages of what a start leaves: run.toml; then journals; then an unfinished checkpoint.
    for stage in 0..3 {
        let name = format!("stage-{stage}");
        let folder = shop.path(&name);
        std::fs::create_dir_all(folder.join("checkpoints/.step-00000000.partial")).expect("a folder");
        std::fs::write(folder.join("run.toml"), &config).expect("a file");
        if stage < 2 {
            std::fs::remove_dir_all(folder.join("checkpoints")).expect("a folder");
        }
        if stage > 0 {
            Journal::<StepRecord>::create(&folder.join("steps.journal")).expect("a journal");
        }
        shop.run(&format!("train --resume {name}"));
        assert_same(&shop.recorded(&name), &whole);
        assert_tidy(&folder);
    }
}

#[test]
fn a_run_killed_before_it_began_says_so() {
    let shop = Workshop::new();
    std::fs::create_dir(shop.path("empty")).expect("a folder");
    let error = shop.refused("train --resume empty");
    assert!(error.contains("empty: holds no run.toml") && error.contains("start the run anew"), "{error}");
    let error = shop.refused("train --resume nowhere");
    assert!(error.contains("nowhere"), "{error}");
}

#[test]
fn a_run_killed_while_it_writes_a_checkpoint_goes_on_from_the_one_before() {
    let shop = Workshop::new();
    let whole = stopped_run(&shop, LONG);
    let checkpoints = shop.path("stopped/checkpoints");
    let newest = newest_checkpoint(&shop.path("stopped")).expect("a folder").expect("a checkpoint");
    // Half of the next checkpoint, and half of the removal of the one before.
    let weights = std::fs::read(newest.join("replica-0.safetensors")).expect("a checkpoint");
    for half in [".step-00000118.partial", "step-00000001"] {
        std::fs::create_dir_all(checkpoints.join(half)).expect("a folder");
        std::fs::write(checkpoints.join(half).join("replica-0.safetensors"), &weights[..weights.len() / 2])
            .expect("a file");
    }
    shop.run("train --resume stopped");
    assert_same(&shop.recorded("stopped"), &whole);
    assert_tidy(&shop.path("stopped"));
}

/// Undoes the end of a journal.
fn back_to_journal<R: Record>(folder: &Path, table: &str, rows: &[R]) {
    Journal::create_with(&folder.join(format!("{table}.journal")), rows).expect("a journal");
    std::fs::remove_file(folder.join(format!("{table}.parquet"))).expect("a file");
}

#[test]
fn a_run_killed_while_it_finishes_finishes_again() {
    let shop = Workshop::new();
    let options = "--set interference.children=every:2";
    let whole = shop.train("whole", options);
    // Killed after: both Parquet files; the first; the first file but not the removal of its journal; the measurement.
    for stage in 0..4 {
        let name = format!("stage-{stage}");
        shop.train(&name, options);
        let folder = shop.path(&name);
        std::fs::remove_file(folder.join("result.toml")).expect("a file");
        match stage {
            0 => {}
            1 => back_to_journal(&folder, "accuracy", &whole.accuracy),
            2 => {
                let parquet = std::fs::read(folder.join("steps.parquet")).expect("a file");
                back_to_journal(&folder, "steps", &whole.steps);
                back_to_journal(&folder, "accuracy", &whole.accuracy);
                std::fs::write(folder.join("steps.parquet"), parquet).expect("a file");
            }
            _ => {
                back_to_journal(&folder, "steps", &whole.steps);
                back_to_journal(&folder, "accuracy", &whole.accuracy);
            }
        }
        shop.run(&format!("train --resume {name}"));
        assert_same(&shop.recorded(&name), &whole);
        assert_eq!(measured(&folder), measured(&shop.path("whole")));
        assert_tidy(&folder);
    }
}

#[test]
fn a_run_that_started_from_a_checkpoint_needs_it_no_more() {
    let shop = Workshop::new();
    shop.train("source", "");
    let onward = "train --from source --steps 40 --set checkpoint.every_steps=2";
    shop.run(&format!("{onward} --out whole"));
    let mut process = shop.command(&format!("{onward} --out stopped")).spawn().expect("the program starts");
    while !shop.path("stopped/checkpoints/step-00000012").exists() {
        std::thread::sleep(Duration::from_micros(100));
    }
    process.kill().expect("a child process");
    process.wait().expect("a child process");
    std::fs::remove_dir_all(shop.path("source")).expect("a folder");
    if !shop.path("stopped/result.toml").exists() {
        shop.run("train --resume stopped");
    }
    assert_same(&shop.recorded("stopped"), &shop.recorded("whole"));
    shop.run("eval stopped --children every:2");
}

#[test]
fn another_instruction_set_is_refused() {
    let levels = Level::available();
    if let [first, second, ..] = levels.as_slice() {
        let shop = Workshop::new();
        let whole = stopped_run(&shop, &format!("{LONG} --simd {first}"));
        let before = std::fs::read(shop.path("stopped/steps.journal")).expect("a journal");
        let error = shop.refused(&format!("train --resume stopped --simd {second}"));
        assert!(error.contains(&format!("was written by cpu {first} f32")), "{error}");
        assert!(error.contains(&format!("cpu {second} f32")) && error.contains("--simd"), "{error}");
        assert!(error.contains("leave out --device and --simd"), "{error}");
        let error = shop.refused("train --resume stopped --device reference");
        assert!(error.contains("this would go on with reference f64"), "{error}");
        assert_eq!(std::fs::read(shop.path("stopped/steps.journal")).expect("a journal"), before);
        shop.run(&format!("train --resume stopped --simd {first} --threads 3"));
        assert_same(&shop.recorded("stopped"), &whole);
    }
}

#[test]
fn a_run_goes_on_with_the_instruction_set_or_the_backend_that_it_began_with() {
    for options in ["--simd portable", "--device reference --set network.cells=1 --set data.batch=8"] {
        let shop = Workshop::new();
        let whole = stopped_run(&shop, &format!("{LONG} {options}"));
        shop.run("train --resume stopped");
        assert_same(&shop.recorded("stopped"), &whole);
    }
}

#[test]
fn an_instruction_set_that_this_processor_lacks_is_named() {
    let shop = Workshop::new();
    stopped_run(&shop, LONG);
    let newest = newest_checkpoint(&shop.path("stopped")).expect("a folder").expect("a checkpoint");
    let checkpoint = newest.join("replica-0.safetensors");
    let mut file = TensorFile::read(&checkpoint).expect("a checkpoint");
    file.metadata.insert("arithmetic".to_owned(), "cpu avx1024 f32".to_owned());
    file.write(&checkpoint).expect("a file");
    let error = shop.refused("train --resume stopped");
    let told = "error: the run in stopped cannot go on here: it began with avx1024, which this processor lacks; resume it on one";
    assert!(error.starts_with(told) && error.lines().count() == 1, "{error}");
}

#[test]
fn a_run_that_has_ended_is_not_resumed() {
    let shop = Workshop::new();
    let whole = shop.train("whole", "");
    let error = shop.refused("train --resume whole");
    assert!(error.contains("whole has ended; there is nothing to resume"), "{error}");
    assert_same(&shop.recorded("whole"), &whole);
}

#[test]
fn a_run_that_lost_its_checkpoints_keeps_its_record() {
    let shop = Workshop::new();
    stopped_run(&shop, LONG);
    std::fs::remove_dir_all(shop.path("stopped/checkpoints")).expect("a folder");
    let before = std::fs::read(shop.path("stopped/steps.journal")).expect("a journal");
    let error = shop.refused("train --resume stopped");
    assert!(error.contains("no checkpoint to go on from"), "{error}");
    assert_eq!(std::fs::read(shop.path("stopped/steps.journal")).expect("a journal"), before);
}
