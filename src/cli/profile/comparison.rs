//! What was measured of every kernel beside what the cost model says of it.

use super::ncu::{MeasuredLaunch, Utilization};
use crate::backend::cuda::KernelRow;
use crate::device::facts::DeviceFacts;
use crate::report::Table;
use crate::train::config::RunConfig;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Range;

/// All kernels of a window.
#[derive(Serialize)]
pub struct Comparison {
    device: &'static str,
    warm_up_steps: u64,
    steps: u64,
    /// The longest first.
    kernels: Vec<ComparedKernel>,
    /// In the plan, but not measured.
    unmeasured: Vec<UnmeasuredKernel>,
    /// Of all that was measured.
    measured_seconds: f64,
    dram_bytes: f64,
    /// Of the kernels that were launched as often as planned: measured / floor, measured / minimum.
    time_ratio: Option<f64>,
    bytes_ratio: Option<f64>,
}

/// All launches of a kernel.
#[derive(Serialize)]
struct ComparedKernel {
    kernel: String,
    launches: usize,
    /// None of a kernel that the plan does not know.
    planned_launches: usize,
    measured_seconds: f64,
    /// The larger of what traffic and arithmetic take at the GPU's rates, of each launch.
    floor_seconds: f64,
    /// Measured / floor, where the launches are those of the plan.
    time_ratio: Option<f64>,
    dram_bytes: f64,
    minimum_bytes: u64,
    /// Measured / minimum, where the launches are those of the plan.
    bytes_ratio: Option<f64>,
    /// In percent, weighted by the launches' times.
    dram_percent: Option<f64>,
    multiprocessors_percent: Option<f64>,
    occupancy_percent: Option<f64>,
    tensor_cores_percent: Option<f64>,
}

#[derive(Serialize)]
struct UnmeasuredKernel {
    kernel: &'static str,
    planned_launches: usize,
}

impl Comparison {
    pub fn new(facts: &DeviceFacts, window: Range<u64>, planned: &[KernelRow], measured: &[MeasuredLaunch]) -> Self {
        let mut launches: BTreeMap<&str, Vec<&MeasuredLaunch>> = BTreeMap::new();
        for launch in measured {
            launches.entry(&launch.kernel).or_default().push(launch);
        }
        let row = |kernel: &str| planned.iter().find(|row| row.kernel == kernel);
        let mut kernels: Vec<ComparedKernel> =
            launches.iter().map(|(kernel, launches)| ComparedKernel::new(kernel, launches, row(kernel))).collect();
        kernels.sort_by(|a, b| b.measured_seconds.total_cmp(&a.measured_seconds));
        let unmeasured = planned.iter().filter(|row| !launches.contains_key(row.kernel));
        let unmeasured =
            unmeasured.map(|row| UnmeasuredKernel { kernel: row.kernel, planned_launches: row.launches }).collect();
        let as_planned = || kernels.iter().filter(|kernel| kernel.is_as_planned());
        let sum = |number: fn(&ComparedKernel) -> f64| as_planned().map(number).sum::<f64>();
        Self {
            device: facts.name,
            warm_up_steps: window.start,
            steps: window.end - window.start,
            unmeasured,
            measured_seconds: kernels.iter().map(|kernel| kernel.measured_seconds).sum(),
            dram_bytes: kernels.iter().map(|kernel| kernel.dram_bytes).sum(),
            time_ratio: ratio(sum(|kernel| kernel.measured_seconds), sum(|kernel| kernel.floor_seconds)),
            bytes_ratio: ratio(sum(|kernel| kernel.dram_bytes), sum(|kernel| kernel.minimum_bytes as f64)),
            kernels,
        }
    }

    pub fn print(&self, config: &RunConfig, facts: &DeviceFacts) {
        println!(
            "{}: {}, {} step(s) after {} of warm-up, measured by ncu beside the cost model for {} ({}, {:.2} TB/s, {:.0} TFLOP/s bf16 on tensor \
             cores, {} TFLOP/s f32)\n",
            config.name,
            config.network.space,
            self.steps,
            self.warm_up_steps,
            facts.name,
            facts.title,
            facts.memory_rate / 1e12,
            facts.tensor_rate / 1e12,
            facts.vector_rate / 1e12,
        );
        let mut table = Table::new([
            "kernel", "launches", "planned", "us", "floor us", "us/floor", "DRAM MB", "least MB", "MB/least", "DRAM %",
            "SM %", "warps %", "tensor %",
        ]);
        for kernel in &self.kernels {
            table.row([
                kernel.kernel.clone(),
                kernel.launches.to_string(),
                kernel.planned_launches.to_string(),
                microseconds(kernel.measured_seconds),
                microseconds(kernel.floor_seconds),
                decimals(kernel.time_ratio, 2),
                megabytes(kernel.dram_bytes),
                megabytes(kernel.minimum_bytes as f64),
                decimals(kernel.bytes_ratio, 2),
                decimals(kernel.dram_percent, 1),
                decimals(kernel.multiprocessors_percent, 1),
                decimals(kernel.occupancy_percent, 1),
                decimals(kernel.tensor_cores_percent, 1),
            ]);
        }
        table.row([
            "total".to_owned(),
            self.kernels.iter().map(|kernel| kernel.launches).sum::<usize>().to_string(),
            self.kernels.iter().map(|kernel| kernel.planned_launches).sum::<usize>().to_string(),
            microseconds(self.measured_seconds),
            microseconds(self.kernels.iter().map(|kernel| kernel.floor_seconds).sum()),
            decimals(self.time_ratio, 2),
            megabytes(self.dram_bytes),
            megabytes(self.kernels.iter().map(|kernel| kernel.minimum_bytes as f64).sum()),
            decimals(self.bytes_ratio, 2),
        ]);
        print!("{table}");
        println!(
            "\nFloor: the larger of what all bytes once and all FLOPs take at the rates above, of each launch. ncu measures each launch alone, by \
             default with empty caches and at the GPU's base clock."
        );
        for kernel in self.kernels.iter().filter(|kernel| kernel.planned_launches == 0) {
            println!("The plan has no kernel {}: it was launched {} time(s)", kernel.kernel, kernel.launches);
        }
        for kernel in self.kernels.iter().filter(|kernel| kernel.planned_launches > 0 && !kernel.is_as_planned()) {
            println!(
                "{} was launched {} time(s), not {} as planned: no ratios, here and in the total",
                kernel.kernel, kernel.launches, kernel.planned_launches
            );
        }
        let more: usize = self.kernels.iter().filter(|kernel| kernel.is_as_planned()).map(ComparedKernel::more).sum();
        if more > 0 {
            println!("{more} launch(es) more than planned: those of earlier steps come again, without tasks");
        }
        for kernel in &self.unmeasured {
            println!(
                "{} was not measured, but the plan has {} launch(es) of it",
                kernel.kernel, kernel.planned_launches
            );
        }
        let others = self.kernels.iter().any(|kernel| !kernel.is_as_planned()) || !self.unmeasured.is_empty();
        if others {
            println!(
                "The plan is that of this configuration, precision and window (--set, --steps, --warm-up): give those that ncu watched"
            );
        }
    }
}

impl ComparedKernel {
    /// Launches beyond the plan.
    fn more(&self) -> usize {
        self.launches - self.planned_launches
    }

    fn new(kernel: &str, launches: &[&MeasuredLaunch], planned: Option<&KernelRow>) -> Self {
        let measured_seconds: f64 = launches.iter().map(|launch| launch.seconds).sum();
        let dram_bytes: f64 = launches.iter().map(|launch| launch.dram_bytes).sum();
        let mean = |percent: fn(&Utilization) -> Option<f64>| {
            let weighted = launches.iter().map(|launch| Some(percent(&launch.utilization)? * launch.seconds));
            weighted.sum::<Option<f64>>().and_then(|sum| ratio(sum, measured_seconds))
        };
        let mut compared = Self {
            kernel: kernel.to_owned(),
            launches: launches.len(),
            planned_launches: planned.map_or(0, |row| row.launches),
            measured_seconds,
            floor_seconds: planned.map_or(0.0, |row| row.floor_seconds),
            time_ratio: None,
            dram_bytes,
            minimum_bytes: planned.map_or(0, |row| row.bytes),
            bytes_ratio: None,
            dram_percent: mean(|percent| percent.dram),
            multiprocessors_percent: mean(|percent| percent.multiprocessors),
            occupancy_percent: mean(|percent| percent.warps),
            tensor_cores_percent: mean(|percent| percent.tensor_cores),
        };
        if compared.is_as_planned() {
            compared.time_ratio = ratio(measured_seconds, compared.floor_seconds);
            compared.bytes_ratio = ratio(dram_bytes, compared.minimum_bytes as f64);
        }
        compared
    }

    /// Launches of earlier steps come again without tasks (docs/cuda.md), so there may be more.
    fn is_as_planned(&self) -> bool {
        self.planned_launches > 0 && self.launches >= self.planned_launches
    }
}

/// `None` where nothing is divided by.
fn ratio(number: f64, by: f64) -> Option<f64> {
    (by > 0.0).then(|| number / by)
}

fn microseconds(seconds: f64) -> String {
    format!("{:.1}", seconds * 1e6)
}

fn megabytes(bytes: f64) -> String {
    format!("{:.2}", bytes / 1e6)
}

fn decimals(number: Option<f64>, decimals: usize) -> String {
    number.map_or("-".to_owned(), |number| format!("{number:.decimals$}"))
}
