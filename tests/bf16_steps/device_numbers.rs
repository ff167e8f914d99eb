//! All that a step in bf16 stores on a device, taken from its memory launch by launch.

use crate::case::Case;
use crosstalk::backend::TrainResult;
use crosstalk::backend::cuda::Cuda;
use crosstalk::backend::reference::numbers::Stored;
use crosstalk::device::{Device, DeviceError, Launched, Pointer};
use crosstalk::ops::cuda::{Source, Stage, Storage, Tiling};
use crosstalk::ops::head::cuda::Head;
use crosstalk::ops::normalization::reference::Rows;
use crosstalk::plan::{Graph, StageKind};
use crosstalk::tensor::padded_channels;
use half::bf16;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

pub type DeviceNumbers = HashMap<Stored, Vec<f64>>;

/// What the kernels of a stage left, with padding of channels.
#[derive(Default)]
struct Left {
    output: Option<Vec<f64>>,
    filtered_gradient: Option<Vec<f64>>,
    /// Of every input, if gradients of inputs were wanted.
    inputs: Vec<Input>,
}

/// By the address of its counter: every stage has one, in the order of the graph.
type Seen = BTreeMap<u64, Left>;

#[derive(Default)]
struct Input {
    gradient: Option<Vec<f64>>,
    /// With the means of the gradient.
    rows: Option<Rows>,
    gate_gradient: Option<f64>,
}

/// Runs a case; its result, and what its stages stored, without padding.
pub fn run(device: Device, case: &Case) -> (TrainResult<f32>, DeviceNumbers) {
    let seen = Arc::new(Mutex::new(Seen::new()));
    let watched = Arc::clone(&seen);
    let device = device.watched(move |launched| {
        see(launched, &mut watched.lock().expect("a lock")).expect("memory that can be read");
    });
    let result = case.train(&Cuda::new(device, Storage::Bf16));
    let seen = std::mem::take(&mut *seen.lock().expect("a lock"));
    let mut numbers = by_name(&case.plan.graph, seen);
    for (value, statistics) in result.statistics.iter().enumerate() {
        if let Some(statistics) = statistics {
            numbers.insert(Stored::Statistics(value), [&statistics.mean[..], &statistics.variance].concat());
        }
    }
    for &reference in &case.plan.parameters {
        let layout = &case.model.network.parameters[reference.parameter].layout;
        let row = &result.row[case.plan.row_range(reference)];
        let gradient = layout.bank_positions().into_iter().map(|at| f64::from(row[at])).collect();
        numbers.insert(Stored::ParameterGradient(reference), gradient);
    }
    (result, numbers)
}

fn see(launched: &Launched, seen: &mut Seen) -> Result<(), DeviceError> {
    let kernel = launched.launch.kernel;
    if !kernel.contains("bf16") {
        // It adds parts.
        return Ok(());
    }
    let count = launched.read::<u32>(launched.pointer(1), 1)?[0] as usize;
    let stages: Vec<Stage> = match kernel.starts_with("head") {
        true => launched.read::<Head>(launched.pointer(0), count)?.into_iter().map(|head| head.stage).collect(),
        false => launched.read(launched.pointer(0), count)?,
    };
    for stage in stages {
        match seen.entry(bytemuck::cast(stage.counter)) {
            Entry::Vacant(forward) => drop(forward.insert(see_forward(launched, &stage)?)),
            // All that there is: right after the stage's last kernel, before which what is seen may be of other stages.
            Entry::Occupied(mut backward) => see_backward(launched, &stage, backward.get_mut())?,
        }
    }
    Ok(())
}

/// A map of these channels; none where there is none.
fn see_map(launched: &Launched, from: Pointer, map: &Tiling, channels: u32) -> Result<Option<Vec<f64>>, DeviceError> {
    if from == Pointer::NULL {
        return Ok(None);
    }
    let len = map.images * map.height * map.width * channels;
    let bits: Vec<u16> = launched.read(from, len as usize)?;
    Ok(Some(bits.into_iter().map(|bits| bf16::from_bits(bits).to_f64()).collect()))
}

fn see_forward(launched: &Launched, stage: &Stage) -> Result<Left, DeviceError> {
    Ok(Left { output: see_map(launched, stage.output, &stage.to, stage.out_channels)?, ..Left::default() })
}

fn see_backward(launched: &Launched, stage: &Stage, left: &mut Left) -> Result<(), DeviceError> {
    left.filtered_gradient = see_map(launched, stage.scratch, &stage.to, stage.in_channels)?;
    left.inputs.clear();
    for source in launched.read::<Source>(stage.sources, stage.source_count as usize)? {
        let gradient = see_map(launched, source.gradient, &stage.from, source.channels)?;
        let mut input = Input { gradient, ..Input::default() };
        if source.sums != Pointer::NULL {
            input.rows = Some(Rows(launched.read(source.normalization, Rows::COUNT * source.channels as usize)?));
        }
        if source.gate_sums != Pointer::NULL {
            let [parts, _, columns] = launched.launch.grid;
            let parts: Vec<f32> = launched.read(source.gate_sums, (parts * columns) as usize)?;
            input.gate_gradient = Some(parts.into_iter().map(f64::from).sum());
        }
        left.inputs.push(input);
    }
    Ok(())
}

fn by_name(graph: &Graph, seen: Seen) -> DeviceNumbers {
    assert_eq!(seen.len(), graph.stages.len(), "a counter for every stage");
    let mut numbers = HashMap::new();
    for ((id, stage), left) in graph.stages.iter().enumerate().zip(seen.into_values()) {
        let channels = |value: usize| graph.values[value].shape.channels;
        if let (Some(output), Some(value)) = (left.output, stage.output) {
            numbers.insert(Stored::Output(value), logical(&output, &[channels(value)]));
        }
        let filters = match &stage.kind {
            StageKind::Linear { operation, .. } => operation.linear().filtering().is_some(),
            _ => false,
        };
        if let (Some(gradient), true) = (left.filtered_gradient, filters) {
            let segments: Vec<usize> = stage.inputs.iter().map(|input| channels(*input)).collect();
            numbers.insert(Stored::FilteredGradient(id), logical(&gradient, &segments));
        }
        for (term, (Input { gradient, rows, gate_gradient }, &value)) in
            left.inputs.into_iter().zip(&stage.inputs).enumerate()
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
