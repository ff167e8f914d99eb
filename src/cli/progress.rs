//! Progress on the terminal: nothing where standard error is none.

use crate::train::Observer;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Instant;

/// A bar of `length` parts; `unit` says of what.
pub fn bar(length: u64, unit: &str) -> ProgressBar {
    styled(ProgressBar::new(length), &format!("{{bar:30}} {{pos}}/{{len}} {unit}  {{msg}}  {{eta}} left"))
}

/// A bar of bytes whose number is not known yet.
pub fn bytes_bar() -> ProgressBar {
    styled(ProgressBar::no_length(), "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {msg}  {eta} left")
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Steps of a run, with images a second and the loss.
pub struct TrainingBar {
    bar: ProgressBar,
    began: Instant,
}

impl TrainingBar {
    pub fn new(steps: u64) -> Self {
        Self { bar: bar(steps, "steps"), began: Instant::now() }
    }
}

impl Observer for TrainingBar {
    fn step(&mut self, done: u64, _all: u64, images: u64, loss: f64) {
        let images_per_second = images as f64 / self.began.elapsed().as_secs_f64();
        self.bar.set_message(format!("{images_per_second:.0} images/s  loss {loss:.4}"));
        self.bar.set_position(done);
    }

    fn derived(&mut self, done: u64, children: &[String]) {
        self.bar.suspend(|| println!("step {done}: the strongest gates make {}", children.join(", ")));
    }

    fn evaluation(&mut self, done: u64, all: u64) {
        self.bar.set_message(format!("evaluating: {} %", 100 * done / all));
    }
}

impl Drop for TrainingBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
