//! `train quick` learns, under statistics of the child itself; what running statistics give is recorded beside it.

mod common;

use common::command::{Workshop, rows};
use crosstalk::records::AccuracyRecord;
use std::time::Instant;

#[test]
fn the_quick_preset_brings_a_child_above_90_percent_on_held_out_digits_within_90_seconds() {
    let shop = Workshop::new();
    let began = Instant::now();
    let printed = shop.run("train quick --out quick");
    let seconds = began.elapsed().as_secs_f64();
    let recorded: Vec<AccuracyRecord> = rows(&shop.path("quick/accuracy.parquet"));
    let best = |norm: &str| -> f64 {
        let rows: Vec<_> = recorded.iter().filter(|row| row.norm == norm).collect();
        assert_eq!(rows.len(), 64, "children under {norm} statistics");
        assert!(rows.iter().all(|row| row.images == 360));
        rows.iter().map(|row| row.accuracy).fold(0.0, f64::max)
    };
    let [running, batch, recalibrated] = ["running", "batch", "recalibrated"].map(best);
    eprintln!("best child: running {running:.4}, batch {batch:.4}, recalibrated {recalibrated:.4}");
    assert!(batch.max(recalibrated) > 0.9, "batch {batch}, recalibrated {recalibrated}");
    assert!(seconds < 90.0, "train quick took {seconds:.0} s");
    assert!(printed.contains("running accuracy") && printed.contains("recalibrated accuracy"), "{printed}");
}
