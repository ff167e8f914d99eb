//! What was recorded survives: torn journals, killed processes, full disks, damaged files.

use crosstalk::records::{
    AccuracyRecord, InterferenceRecord, Journal, RecordError, Recovery, StepRecord, read_parquet, write_parquet,
};
use proptest::prelude::*;
use std::fs;
use std::path::Path;

/// A folder in memory where the system has one: these tests write thousands of files, and every one is synced.
fn memory_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn step(step: u64) -> StepRecord {
    let loss = if step == 3 { f64::INFINITY } else { 2.5 / (step + 1) as f64 };
    let child = (step % 4 != 1).then(|| format!("|nor_conv_3x3~{step}|"));
    let alpha_loss = (step % 4 == 1).then_some(2.25);
    let replica = (step % 3) as u32;
    StepRecord { step, replica, child, loss, accuracy: 0.1, alpha_loss, learning_rate: 0.025, images: 64 }
}

fn interference(stepped_child: Option<&str>) -> InterferenceRecord {
    InterferenceRecord {
        step: 640,
        replica: 0,
        mini_batch: 640,
        learning_rate: 0.025,
        stepped_child: stepped_child.map(str::to_string),
        evaluated_child: "142".to_string(),
        norm: "batch".to_string(),
        shared_candidates: 2,
        loss_before: 0.5,
        loss_after: 0.75,
        loss_change: 0.25,
        loss_change_beyond_zero: 0.125,
        accuracy_before: 0.875,
        accuracy_after: 0.75,
        accuracy_change: -0.125,
        accuracy_change_beyond_zero: -0.25,
        images: 360,
    }
}

fn journal_with(path: &Path, frames: &[std::ops::Range<u64>]) -> Journal<StepRecord> {
    let mut journal = Journal::create(path).unwrap();
    for steps in frames {
        journal.append(&steps.clone().map(step).collect::<Vec<_>>()).unwrap();
    }
    journal
}

#[test]
fn a_journal_cut_at_any_byte_keeps_exactly_its_whole_frames_and_goes_on() {
    let folder = memory_folder();
    let path = folder.path().join("steps.journal");
    let frames = [0..2, 2..3, 3..6];
    let mut frame_ends = vec![];
    for written in 0..=frames.len() {
        let _ = fs::remove_file(&path);
        drop(journal_with(&path, &frames[..written]));
        frame_ends.push(fs::metadata(&path).unwrap().len() as usize);
    }
    let bytes = fs::read(&path).unwrap();
    let rows_after = [0, 2, 3, 6];
    for length in frame_ends[0]..=bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        let whole = frame_ends.iter().rposition(|&end| end <= length).unwrap();
        let (mut journal, recovery) = Journal::<StepRecord>::resume(&path, |_| true).unwrap();
        let torn_bytes = (length - frame_ends[whole]) as u64;
        assert_eq!(recovery, Recovery { kept_rows: rows_after[whole], cut_rows: 0, torn_bytes });
        journal.append(&[step(99)]).unwrap();
        let expected: Vec<StepRecord> = (0..rows_after[whole]).chain([99]).map(step).collect();
        assert_eq!(Journal::<StepRecord>::read(&path).unwrap(), expected, "cut at byte {length}");
    }
}

#[test]
fn a_changed_byte_never_becomes_a_row() {
    let folder = memory_folder();
    let path = folder.path().join("steps.journal");
    drop(journal_with(&path, &[0..1, 1..2]));
    let intact_bytes = fs::metadata(&path).unwrap().len() as usize;
    fs::remove_file(&path).unwrap();
    drop(journal_with(&path, &[0..2, 2..4]));
    let bytes = fs::read(&path).unwrap();
    for position in intact_bytes..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[position] ^= 1 << bit;
            fs::write(&path, changed).unwrap();
            assert_eq!(Journal::<StepRecord>::read(&path).unwrap(), [step(0), step(1)], "byte {position}");
        }
    }
}

#[test]
fn a_resumed_journal_holds_the_rows_up_to_the_checkpoint() {
    let folder = memory_folder();
    let path = folder.path().join("steps.journal");
    drop(journal_with(&path, &[0..4, 4..9, 9..10]));
    let (mut journal, recovery) = Journal::<StepRecord>::resume(&path, |row| row.step < 6).unwrap();
    assert_eq!(recovery, Recovery { kept_rows: 6, cut_rows: 4, torn_bytes: 0 });
    journal.append(&[step(6)]).unwrap();
    journal.sync().unwrap();
    assert_eq!(journal.rows(), 7);
    assert_eq!(Journal::<StepRecord>::read(&path).unwrap(), (0..7).map(step).collect::<Vec<_>>());
}

#[test]
fn a_file_that_is_no_journal_of_these_rows_is_refused_and_left_alone() {
    let folder = memory_folder();
    let path = folder.path().join("steps.journal");
    drop(journal_with(&path, &[0..1, 1..2]));
    let bytes = fs::read(&path).unwrap();
    for content in [&bytes[..20], b"", b"step,loss\n0,2.5\n"] {
        fs::write(&path, content).unwrap();
        let message = Journal::<StepRecord>::resume(&path, |_| true).unwrap_err().to_string();
        assert!(message.contains(&path.display().to_string()), "{message}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    fs::write(&path, &bytes).unwrap();
    assert!(matches!(Journal::<AccuracyRecord>::read(&path), Err(RecordError::NotAJournal { .. })));
    assert!(Journal::<StepRecord>::create(&path).unwrap_err().to_string().contains("it exists already"));
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn finishing_again_after_a_kill_gives_the_same_parquet() {
    let folder = memory_folder();
    let (path, parquet) = (folder.path().join("steps.journal"), folder.path().join("steps.parquet"));
    let journal = journal_with(&path, &[0..3, 3..5000]);
    let journal_bytes = fs::read(&path).unwrap();
    journal.finish(&parquet).unwrap();
    assert!(!path.exists());
    let first = fs::read(&parquet).unwrap();
    // Killed between the rename of the Parquet file and the removal of the journal.
    fs::write(&path, journal_bytes).unwrap();
    let (journal, _) = Journal::<StepRecord>::resume(&path, |_| true).unwrap();
    journal.finish(&parquet).unwrap();
    assert!(!path.exists());
    assert_eq!(fs::read(&parquet).unwrap(), first);
    assert_eq!(read_parquet::<StepRecord>(&parquet).unwrap(), (0..5000).map(step).collect::<Vec<_>>());
}

#[test]
fn a_journal_that_lost_rows_is_not_finished() {
    let folder = memory_folder();
    let (path, parquet) = (folder.path().join("steps.journal"), folder.path().join("steps.parquet"));
    let journal = journal_with(&path, &[0..3, 3..6]);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let message = journal.finish(&parquet).unwrap_err().to_string();
    assert!(message.contains("3 of 6"), "{message}");
    assert!(path.exists() && !parquet.exists());
}

#[test]
fn tables_are_read_back_from_parquet() {
    let folder = memory_folder();
    let path = folder.path().join("table.parquet");
    let rows = [interference(Some("111")), interference(None)];
    write_parquet(&path, &rows).unwrap();
    assert_eq!(read_parquet::<InterferenceRecord>(&path).unwrap(), rows);
    write_parquet::<AccuracyRecord>(&path, &[]).unwrap();
    assert_eq!(read_parquet::<AccuracyRecord>(&path).unwrap(), []);
}

#[test]
fn a_parquet_file_with_other_columns_is_refused_by_their_names() {
    let folder = memory_folder();
    let path = folder.path().join("steps.parquet");
    write_parquet(&path, &[step(0)]).unwrap();
    let message = read_parquet::<AccuracyRecord>(&path).unwrap_err().to_string();
    assert!(message.contains("learning_rate, images instead of step, replica, child, norm"), "{message}");
}

#[test]
fn a_number_that_parquet_cannot_hold_is_refused_and_the_earlier_file_stays() {
    let folder = memory_folder();
    let path = folder.path().join("steps.parquet");
    write_parquet(&path, &[step(0)]).unwrap();
    let message = write_parquet(&path, &[step(1), step(1 << 63)]).unwrap_err().to_string();
    assert!(message.contains("column `step`"), "{message}");
    assert_eq!(read_parquet::<StepRecord>(&path).unwrap(), [step(0)]);
}

#[test]
fn a_parquet_file_cut_at_any_byte_is_an_error_that_names_it() {
    let folder = memory_folder();
    let path = folder.path().join("steps.parquet");
    write_parquet(&path, &(0..5).map(step).collect::<Vec<_>>()).unwrap();
    let bytes = fs::read(&path).unwrap();
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        let message = read_parquet::<StepRecord>(&path).unwrap_err().to_string();
        assert!(message.starts_with(&path.display().to_string()), "{message}");
    }
    let missing = read_parquet::<StepRecord>(&folder.path().join("none.parquet")).unwrap_err().to_string();
    assert!(missing.contains("there is no such file"), "{missing}");
}

#[test]
fn a_parquet_file_with_any_byte_changed_is_read_or_refused() {
    let folder = memory_folder();
    let path = folder.path().join("table.parquet");
    write_parquet(&path, &[interference(Some("111")), interference(None)]).unwrap();
    let bytes = fs::read(&path).unwrap();
    for position in 0..bytes.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[position] ^= change;
            fs::write(&path, changed).unwrap();
            let _ = read_parquet::<InterferenceRecord>(&path);
        }
    }
}

/// Runs again in a process whose files may not grow beyond some kilobytes, which the kernel reports as it would a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_write_that_the_system_refuses_leaves_the_earlier_files_whole() {
    const FOLDER: &str = "CROSSTALK_TEST_SMALL_FILES";
    const ROWS: u64 = 20_000;
    let Some(folder) = std::env::var_os(FOLDER) else {
        let folder = memory_folder();
        write_parquet(&folder.path().join("steps.parquet"), &[step(0)]).unwrap();
        drop(journal_with(&folder.path().join("steps.journal"), &[0..2, 2..3]));
        let run = std::process::Command::new("sh")
            .args(["-c", r#"trap "" XFSZ; ulimit -f 16; exec "$0" --exact a_write_that_the_system_refuses_leaves_the_earlier_files_whole"#])
            .arg(std::env::current_exe().unwrap())
            .env(FOLDER, folder.path())
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["steps.journal", "steps.parquet"]);
        assert_eq!(read_parquet::<StepRecord>(&folder.path().join("steps.parquet")).unwrap(), [step(0)]);
        let rows = Journal::<StepRecord>::read(&folder.path().join("steps.journal")).unwrap();
        assert_eq!(rows, [0, 1, 2, 3].map(step));
        return;
    };
    let rows: Vec<StepRecord> = (0..ROWS).map(step).collect();
    let folder = Path::new(&folder);
    let message = write_parquet(&folder.join("steps.parquet"), &rows).unwrap_err().to_string();
    assert!(message.contains("steps.parquet: the file would exceed the size limit"), "{message}");
    let (mut journal, _) = Journal::resume(&folder.join("steps.journal"), |_| true).unwrap();
    assert!(journal.append(&rows).unwrap_err().to_string().contains("size limit"));
    journal.append(&[step(3)]).unwrap();
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[1-4]{3}", "\\PC{0,40}", Just(String::new())]
}

prop_compose! {
    fn any_interference()(
        (step, replica, mini_batch, shared_candidates, images) in (any::<u64>(), any::<u32>(), any::<u64>(), any::<u32>(), any::<u32>()),
        (stepped_child, evaluated_child, norm) in (proptest::option::of(any_text()), any_text(), any_text()),
        numbers in proptest::array::uniform9(proptest::num::f64::ANY.prop_filter("comparable", |number| !number.is_nan())),
    ) -> InterferenceRecord {
        let [
            learning_rate, loss_before, loss_after, loss_change, loss_change_beyond_zero,
            accuracy_before, accuracy_after, accuracy_change, accuracy_change_beyond_zero,
        ] = numbers;
        InterferenceRecord {
            step, replica, mini_batch, learning_rate, stepped_child, evaluated_child, norm, shared_candidates,
            loss_before, loss_after, loss_change, loss_change_beyond_zero,
            accuracy_before, accuracy_after, accuracy_change, accuracy_change_beyond_zero, images,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_rows_in_any_frames_come_back_from_a_journal_and_from_parquet(
        frames in proptest::collection::vec(proptest::collection::vec(any_interference(), 0..5), 0..6),
        torn in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let folder = memory_folder();
        let (path, parquet) = (folder.path().join("i.journal"), folder.path().join("i.parquet"));
        let mut journal = Journal::create(&path).unwrap();
        for frame in &frames {
            journal.append(frame).unwrap();
        }
        drop(journal);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, [bytes, torn].concat()).unwrap();
        let rows = frames.concat();
        prop_assert_eq!(&Journal::<InterferenceRecord>::read(&path).unwrap(), &rows);
        let in_range = |row: &InterferenceRecord| i64::try_from(row.step.max(row.mini_batch)).is_ok();
        let (journal, _) = Journal::resume(&path, in_range).unwrap();
        journal.finish(&parquet).unwrap();
        let kept: Vec<InterferenceRecord> = rows.into_iter().filter(in_range).collect();
        prop_assert_eq!(read_parquet::<InterferenceRecord>(&parquet).unwrap(), kept);
    }
}
