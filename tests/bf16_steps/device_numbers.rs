//! All that a step in bf16 stores on a device, taken from its memory launch by launch.

use crosstalk::backend::cuda::Cuda;
use crosstalk::backend::reference::numbers::Stored;
use crosstalk::backend::{Executor, TrainLane, TrainResult};
use crosstalk::device::{Device, DeviceError, Launched, Pointer};
use crosstalk::ops::cuda::{Source, Stage, Storage, Tiling};
use crosstalk::ops::head::cuda::Head;
use crosstalk::ops::normalization::reference::Rows;
use crosstalk::plan::Graph;
use crosstalk::tensor::padded_channels;
use half::bf16;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

pub type DeviceNumbers = HashMap<Stored, Vec<f64>>;

/// What one task of a launch left, with padding of channels.
struct Task {
    stage: Stage,
    output: Option<Vec<f64>>,
    filtered_gradient: Option<Vec<f64>>,
    /// Of every input, if gradients of inputs were wanted.
    inputs: Vec<Input>,
}

#[derive(Default)]
struct Input {
    gradient: Option<Vec<f64>>,
    /// With the means of the gradient.
    rows: Option<Rows>,
    gate_gradient: Option<f64>,
}

/// Runs a lane; its result, and what its stages stored, without padding.
pub fn run(device: Device, lane: TrainLane<'_, f32>) -> (TrainResult<f32>, DeviceNumbers) {
    let tasks = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&tasks);
    let device = device.watched(move |launched| {
        let new = see(launched).expect("memory that can be read");
        seen.lock().expect("a lock").extend(new);
    });
    let result = Cuda::new(device, Storage::Bf16).train(&[lane]).expect("a device that works").remove(0);
    let tasks = std::mem::take(&mut *tasks.lock().expect("a lock"));
    let mut numbers = by_name(&lane.plan.graph, tasks);
    for (value, statistics) in result.statistics.iter().enumerate() {
        if let Some(statistics) = statistics {
            numbers.insert(Stored::Statistics(value), [&statistics.mean[..], &statistics.variance].concat());
        }
    }
    for &reference in &lane.plan.parameters {
        let layout = &lane.network.parameters[reference.parameter].layout;
        let row = &result.row[lane.plan.row_range(reference)];
        let gradient = layout.bank_positions().into_iter().map(|at| f64::from(row[at])).collect();
        numbers.insert(Stored::ParameterGradient(reference), gradient);
    }
    (result, numbers)
}

fn see(launched: &Launched) -> Result<Vec<Task>, DeviceError> {
    let kernel = launched.launch.kernel;
    if !kernel.contains("bf16") {
        // It adds parts.
        return Ok(Vec::new());
    }
    let count = launched.read::<u32>(launched.pointer(1), 1)?[0] as usize;
    let stages: Vec<Stage> = match kernel.starts_with("head") {
        true => launched.read::<Head>(launched.pointer(0), count)?.into_iter().map(|head| head.stage).collect(),
        false => launched.read(launched.pointer(0), count)?,
    };
    stages.into_iter().map(|stage| see_task(launched, stage)).collect()
}

fn see_task(launched: &Launched, stage: Stage) -> Result<Task, DeviceError> {
    let kernel = launched.launch.kernel;
    let maps = |from: Pointer, map: &Tiling, channels: u32| -> Result<Option<Vec<f64>>, DeviceError> {
        if from == Pointer::NULL {
            return Ok(None);
        }
        let len = map.images * map.height * map.width * channels;
        let bits: Vec<u16> = launched.read(from, len as usize)?;
        Ok(Some(bits.into_iter().map(|bits| bf16::from_bits(bits).to_f64()).collect()))
    };
    let mut task = Task { stage, output: None, filtered_gradient: None, inputs: Vec::new() };
    if kernel.contains("forward") {
        task.output = maps(stage.output, &stage.to, stage.out_channels)?;
    } else if kernel.contains("pointwise_gradient") {
        task.filtered_gradient = maps(stage.scratch, &stage.to, stage.in_channels)?;
    } else if !kernel.contains("weight_gradient") {
        for source in launched.read::<Source>(stage.sources, stage.source_count as usize)? {
            let mut input =
                Input { gradient: maps(source.gradient, &stage.from, source.channels)?, ..Input::default() };
            if source.sums != Pointer::NULL {
                input.rows = Some(Rows(launched.read(source.normalization, Rows::COUNT * source.channels as usize)?));
            }
            if source.gate_sums != Pointer::NULL {
                let [parts, _, columns] = launched.launch.grid;
                let parts: Vec<f32> = launched.read(source.gate_sums, (parts * columns) as usize)?;
                input.gate_gradient = Some(parts.into_iter().map(f64::from).sum());
            }
            task.inputs.push(input);
        }
    }
    Ok(task)
}

/// Every stage has a counter of its own, in the order of the graph.
fn by_name(graph: &Graph, tasks: Vec<Task>) -> DeviceNumbers {
    let address = |task: &Task| bytemuck::cast::<Pointer, u64>(task.stage.counter);
    let counters: BTreeSet<u64> = tasks.iter().map(address).collect();
    assert_eq!(counters.len(), graph.stages.len(), "a counter for every stage");
    let stages: HashMap<u64, usize> = counters.into_iter().zip(0..).collect();
    let mut numbers = HashMap::new();
    for task in tasks {
        let id = stages[&address(&task)];
        let stage = &graph.stages[id];
        let channels = |value: usize| graph.values[value].shape.channels;
        if let (Some(output), Some(value)) = (task.output, stage.output) {
            numbers.insert(Stored::Output(value), logical(&output, &[channels(value)]));
        }
        if let Some(gradient) = task.filtered_gradient {
            let segments: Vec<usize> = stage.inputs.iter().map(|input| channels(*input)).collect();
            numbers.insert(Stored::FilteredGradient(id), logical(&gradient, &segments));
        }
        for (term, (Input { gradient, rows, gate_gradient }, &value)) in
            task.inputs.into_iter().zip(&stage.inputs).enumerate()
        {
            // Of a value that the stage reads twice, the first sum is gone.
            if let (Some(gradient), false) = (gradient, stage.inputs[term + 1..].contains(&value)) {
                numbers.insert(Stored::Gradient { stage: id, term }, logical(&gradient, &[channels(value)]));
            }
            if let Some(rows) = rows {
                let means = [Rows::M1, Rows::M2].map(|row| &rows.row(row)[..channels(value)]).concat();
                numbers.insert(Stored::Means(value), means.into_iter().map(f64::from).collect());
            }
            if let Some(gradient) = gate_gradient {
                numbers.insert(Stored::GateGradient { stage: id, term }, vec![gradient]);
            }
        }
    }
    numbers
}

/// `[pixel][channel]` of these concatenated segments without their padding, which must hold zeros.
fn logical(values: &[f64], segments: &[usize]) -> Vec<f64> {
    let stored: usize = segments.iter().map(|channels| padded_channels(*channels)).sum();
    let mut out = Vec::new();
    for pixel in values.chunks(stored) {
        let mut rest = pixel;
        for &channels in segments {
            let (segment, next) = rest.split_at(padded_channels(channels));
            out.extend_from_slice(&segment[..channels]);
            assert!(segment[channels..].iter().all(|padding| *padding == 0.0), "padding holds numbers");
            rest = next;
        }
    }
    out
}
