//! `crosstalk plan`: what a step would be on a GPU that need not be there.

use super::data::missing::with_way_out;
use super::planned::{PlannedSteps, device_facts};
use crate::backend::cuda::{KernelRow, LAUNCH_SECONDS, StepMemory};
use crate::data::Source;
use crate::device::facts::DeviceFacts;
use crate::ops::cuda::Storage;
use crate::report::Table;
use crate::train::build_model;
use crate::train::config;
use clap::Args;
use serde::Serialize;

#[derive(Args)]
pub struct PlanArguments {
    /// A preset (quick, paper, fashion, nasbench201, nasbench201-small, nasbench201-standalone, darts, darts-small) or a TOML file.
    config: String,
    /// GPU: h100, h200 or a100.
    #[arg(long, value_parser = device_facts)]
    device: DeviceFacts,
    /// Data set, of whose images the shape counts: digits, cifar10:PATH (which need not be there) or idx:FOLDER.
    #[arg(long)]
    data: Option<Source>,
    /// Override a key, for example data.batch=512; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Children a step, instead of the configured number.
    #[arg(long)]
    lanes: Option<usize>,
    /// Stored numbers: bf16 or f32.
    #[arg(long, default_value = "bf16", value_parser = storage)]
    precision: Storage,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn storage(text: &str) -> Result<Storage, &'static str> {
    match text {
        "bf16" => Ok(Storage::Bf16),
        "f32" => Ok(Storage::F32),
        _ => Err("choose bf16 or f32"),
    }
}

/// What is printed.
#[derive(Serialize)]
struct Plan {
    name: String,
    space: String,
    device: &'static str,
    precision: &'static str,
    replicas: u32,
    /// Of a step, all replicas together; of a search with those of the architecture parameters.
    lanes: usize,
    /// Of a lane.
    images: u32,
    /// That the first step trains; empty for a mixture.
    children: Vec<String>,
    memory: StepMemory,
    memory_bytes: usize,
    launches: usize,
    phases: usize,
    waves: usize,
    kernels: Vec<KernelRow>,
    /// Sums over the kernels.
    bytes: u64,
    flops: u64,
    traffic_seconds: f64,
    arithmetic_seconds: f64,
    floor_seconds: f64,
    predicted_seconds: f64,
    /// Assumed of every launch, and part of the prediction.
    launch_seconds: f64,
    /// By the cost model of stages, whatever the kernels: inputs, output and gradients once in each pass.
    stage_bytes: u64,
    predicted_images_per_second: f64,
}

pub fn run(arguments: PlanArguments) -> anyhow::Result<()> {
    let device = arguments.device;
    let json = arguments.json;
    let plan = Plan::new(arguments)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&plan)?);
    } else {
        plan.print(&device);
    }
    Ok(())
}

impl Plan {
    fn new(arguments: PlanArguments) -> anyhow::Result<Self> {
        let PlanArguments { config, device, data, set, lanes, precision, .. } = arguments;
        let mut assignments = Vec::new();
        assignments.extend(data.map(|source| format!("data.source={:?}", source.to_string())));
        assignments.extend(lanes.map(|lanes| format!("step.lanes={lanes}")));
        assignments.extend(set);
        let mut config = config::load(&config, &assignments)?;
        let space = config.network.resolve()?;
        let source = &config.data.source;
        let (shape, classes) = source.images(config.data.shrink).map_err(|error| with_way_out(error.into(), source))?;
        let model = build_model(&mut config, &space, shape, classes)?;
        let planned = PlannedSteps::new(&config, &model, 0..1, precision, &device)?;
        let (step, plan) = (&planned.steps[0], &planned.plan);
        let images = config.data.batch;
        let kernels = plan.rows(&device);
        let predicted_seconds = kernels.iter().map(|row| row.predicted_seconds).sum();
        let number = u64::from(precision.bytes());
        let stage_bytes = step.iter().map(|lane| {
            let graph = &lane.plan.graph;
            let cost = if lane.weight_gradients { graph.training_cost(number) } else { graph.gate_cost(number) };
            cost.bytes * u64::from(images)
        });
        Ok(Self {
            name: config.name,
            space: config.network.space,
            device: device.name,
            precision: match precision {
                Storage::Bf16 => "bf16",
                Storage::F32 => "f32",
            },
            replicas: config.replicas,
            lanes: step.len(),
            images,
            children: step.iter().filter_map(|lane| lane.child.clone()).collect(),
            memory: plan.memory,
            memory_bytes: plan.memory.total(),
            launches: plan.launches(),
            phases: plan.phases,
            waves: plan.waves,
            bytes: kernels.iter().map(|row| row.bytes).sum(),
            flops: kernels.iter().map(|row| row.flops).sum(),
            traffic_seconds: kernels.iter().map(|row| row.traffic_seconds).sum(),
            arithmetic_seconds: kernels.iter().map(|row| row.arithmetic_seconds).sum(),
            floor_seconds: kernels.iter().map(|row| row.floor_seconds).sum(),
            predicted_seconds,
            launch_seconds: LAUNCH_SECONDS,
            stage_bytes: stage_bytes.sum(),
            predicted_images_per_second: planned.images as f64 / predicted_seconds,
            kernels,
        })
    }

    fn print(&self, device: &DeviceFacts) {
        let children = match self.children.as_slice() {
            [] => "the mixture of all candidates, for the architecture parameters and for the weights".to_owned(),
            [first, .., last] if self.children.len() > 8 => format!("children {first} ... {last}"),
            children => format!("children {}", children.join(", ")),
        };
        println!(
            "{}: {}, {} lane(s) of {} images a step, {}, stored in {}",
            self.name, self.space, self.lanes, self.images, children, self.precision
        );
        println!(
            "A plan for {} ({}, {} multiprocessors, {:.0} GB of memory at {:.2} TB/s, L2 {} MiB; {:.0} TFLOP/s bf16 on tensor cores, {} TFLOP/s f32): computed, not measured",
            device.name,
            device.title,
            device.multiprocessors,
            device.memory_bytes as f64 / 1e9,
            device.memory_rate / 1e12,
            device.l2_bytes >> 20,
            device.tensor_rate / 1e12,
            device.vector_rate / 1e12,
        );
        let memory = &self.memory;
        println!(
            "Memory {:.1} MiB: {:.1} feature maps and gradients, {:.1} partial sums, {:.1} results, {:.1} tables, {:.1} banks, {:.1} mini-batches{}",
            mebibytes(self.memory_bytes),
            mebibytes(memory.feature_maps),
            mebibytes(memory.partial_sums),
            mebibytes(memory.results),
            mebibytes(memory.tables),
            mebibytes(memory.banks),
            mebibytes(memory.mini_batches),
            if self.memory_bytes as u64 > device.memory_bytes { "; more than the device has" } else { "" },
        );
        println!(
            "{} launches in {} phases, one after the other; {} wave(s) of lanes\n",
            self.launches, self.phases, self.waves
        );
        let mut table = Table::new([
            "kernel",
            "launches",
            "blocks",
            "registers",
            "shared KiB",
            "blocks/SM",
            "MB",
            "GFLOP",
            "traffic us",
            "arithmetic us",
            "predicted us",
        ]);
        for row in &self.kernels {
            table.row([
                row.kernel.to_owned(),
                row.launches.to_string(),
                row.blocks.to_string(),
                row.registers.to_string(),
                format!("{:.1}", f64::from(row.shared_bytes) / 1024.0),
                row.resident_blocks.to_string(),
                format!("{:.2}", row.bytes as f64 / 1e6),
                format!("{:.3}", row.flops as f64 / 1e9),
                microseconds(row.traffic_seconds),
                microseconds(row.arithmetic_seconds),
                microseconds(row.predicted_seconds),
            ]);
        }
        let blocks: u64 = self.kernels.iter().map(|row| row.blocks).sum();
        table.row([
            "total".to_owned(),
            self.launches.to_string(),
            blocks.to_string(),
            String::new(),
            String::new(),
            String::new(),
            format!("{:.2}", self.bytes as f64 / 1e6),
            format!("{:.3}", self.flops as f64 / 1e9),
            microseconds(self.traffic_seconds),
            microseconds(self.arithmetic_seconds),
            microseconds(self.predicted_seconds),
        ]);
        print!("{table}");
        println!(
            "\nPredicted: the larger floor of each launch, and {} us a launch, which is assumed. Floors: all traffic goes to memory, none stays in L2; \
             units at the rates above.",
            microseconds(self.launch_seconds)
        );
        println!(
            "The cost model of stages, which counts inputs, output and gradients once in each pass, has {:.2} MB.",
            self.stage_bytes as f64 / 1e6
        );
        println!(
            "Predicted {:.0} images/s of whole steps; copies to and from the device and the host are not in it.",
            self.predicted_images_per_second
        );
    }
}

fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn microseconds(seconds: f64) -> String {
    format!("{:.1}", seconds * 1e6)
}
