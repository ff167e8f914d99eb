//! Training without a run folder: a warm-up, then steps that are timed.

use super::commands::Commands;
use super::storage;
use crate::backend::Backend;
use crate::cli::device::DeviceTask;
use crate::cli::planned::PlannedSteps;
use crate::cli::progress::bar;
use crate::device::Device;
use crate::device::facts::DeviceFacts;
use crate::train::{Setup, Trainer, Workload};
use serde::Serialize;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// Steps to time.
pub struct Window {
    pub setup: Arc<Setup>,
    /// Those before its start are the warm-up.
    pub steps: Range<u64>,
    /// Of the GPU to predict for, where it is not the one that computes.
    pub facts: Option<DeviceFacts>,
}

/// What the window took.
#[derive(Serialize)]
pub struct Measured {
    name: String,
    space: String,
    data: String,
    /// Backend, precision, instruction set.
    arithmetic: String,
    /// Of a GPU or the emulator.
    device: Option<String>,
    threads: usize,
    warm_up_steps: u64,
    steps: u64,
    /// Of all lanes of the window; of a search, with those on which the architecture parameters stepped.
    images: u64,
    seconds: f64,
    images_per_second: f64,
    seconds_per_step: f64,
    fastest_step_seconds: f64,
    slowest_step_seconds: f64,
    predicted: Option<Predicted>,
}

/// What the cost model says of the same steps: their kernels, without copies and host.
#[derive(Serialize)]
struct Predicted {
    device: &'static str,
    seconds_per_step: f64,
    images_per_second: f64,
    /// Whether mini-batches were as large as predicted.
    same_images: bool,
}

/// With the command lines, for JSON.
#[derive(Serialize)]
pub struct WithCommands<'a> {
    #[serde(flatten)]
    measured: &'a Measured,
    commands: Option<&'a Commands>,
}

impl DeviceTask for Window {
    type Output = (Measured, Option<DeviceFacts>);

    fn run<B: Backend + Send>(self, backend: B) -> anyhow::Result<Self::Output> {
        let Self { setup, steps, facts } = self;
        let mut trainer = Trainer::new(setup.clone(), backend)?;
        trainer.check_memory(&Workload::run(&trainer, None))?;
        let progress = bar(steps.end, "steps");
        for _ in 0..steps.start {
            trainer.step()?;
            progress.inc(1);
        }
        if let Some(device) = trainer.backend.device() {
            device.synchronize()?;
            device.start_profiler()?;
        }
        let (mut images, mut times) = (0, Vec::new());
        let began = Instant::now();
        // As in a run: on a device a step begins before the losses of the last one are there.
        let on_device = trainer.backend.device().is_some();
        let mut pending = None;
        let mut last = began;
        let mut finish = |trainer: &Trainer<B>, step| -> anyhow::Result<u64> {
            let images = trainer.finish_step(step)?.images;
            times.push(last.elapsed().as_secs_f64());
            last = Instant::now();
            progress.inc(1);
            Ok(images)
        };
        for _ in steps.clone() {
            let begun = trainer.begin_step()?;
            let ended = if on_device { pending.replace(begun) } else { Some(begun) };
            if let Some(step) = ended {
                images += finish(&trainer, step)?;
            }
        }
        if let Some(step) = pending {
            images += finish(&trainer, step)?;
        }
        if let Some(device) = trainer.backend.device() {
            device.stop_profiler()?;
        }
        let seconds = began.elapsed().as_secs_f64();
        progress.finish_and_clear();

        let config = &setup.config;
        let name = trainer.backend.device().map(Device::name);
        let facts = facts.or_else(|| DeviceFacts::of_driver_name(name.as_deref()?));
        let count = times.len() as f64;
        let predicted = match (&facts, storage(config.precision)) {
            (Some(facts), Some(storage)) => {
                let planned = PlannedSteps::new(config, &setup.model, steps.clone(), storage, facts)?;
                let seconds: f64 = planned.plan.rows(facts).iter().map(|row| row.predicted_seconds).sum();
                Some(Predicted {
                    device: facts.name,
                    seconds_per_step: seconds / count,
                    images_per_second: planned.images as f64 / seconds,
                    same_images: planned.images == images,
                })
            }
            _ => None,
        };
        let measured = Measured {
            name: config.name.clone(),
            space: config.network.space.clone(),
            data: config.data.source.to_string(),
            arithmetic: trainer.backend.arithmetic(),
            device: name,
            threads: rayon::current_num_threads(),
            warm_up_steps: steps.start,
            steps: steps.end - steps.start,
            images,
            seconds,
            images_per_second: images as f64 / seconds,
            seconds_per_step: seconds / count,
            fastest_step_seconds: times.iter().copied().fold(f64::INFINITY, f64::min),
            slowest_step_seconds: times.iter().copied().fold(0.0, f64::max),
            predicted,
        };
        Ok((measured, facts))
    }
}

impl Measured {
    pub fn with_commands<'a>(&'a self, commands: Option<&'a Commands>) -> WithCommands<'a> {
        WithCommands { measured: self, commands }
    }

    pub fn print(&self, facts: Option<&DeviceFacts>) {
        let device = self.device.as_ref().map_or(String::new(), |device| format!(" ({device})"));
        println!(
            "{}: {} on {}, on {}{device} with {} thread(s)",
            self.name, self.space, self.data, self.arithmetic, self.threads
        );
        println!(
            "{} step(s) after {} of warm-up: {:.0} images/s, {:.3} ms a step (fastest {:.3}, slowest {:.3})",
            self.steps,
            self.warm_up_steps,
            self.images_per_second,
            milliseconds(self.seconds_per_step),
            milliseconds(self.fastest_step_seconds),
            milliseconds(self.slowest_step_seconds),
        );
        match (&self.predicted, facts) {
            (Some(predicted), Some(facts)) => {
                println!(
                    "Predicted for {} ({}): {:.0} images/s, {:.3} ms a step for the kernels of whole steps, without copies and host; measured / predicted {:.2}",
                    facts.name,
                    facts.title,
                    predicted.images_per_second,
                    milliseconds(predicted.seconds_per_step),
                    self.seconds_per_step / predicted.seconds_per_step,
                );
                if !predicted.same_images {
                    println!(
                        "The window had a short mini-batch, at the end of an epoch, but all of the prediction are as large as data.batch"
                    );
                }
            }
            _ => println!(
                "Nothing is predicted: the cost model does not know this device; --device-facts h100, h200 or a100 names another"
            ),
        }
    }
}

fn milliseconds(seconds: f64) -> f64 {
    seconds * 1e3
}
