//! A case on a device: inputs, weights and gradients in buffers, the task that its kernels read, and what they leave.

use super::input::Input;
use super::numbers::{Numbers, allocate, download, pointer_of_pair, upload};
use super::output::Output;
use super::{geometry, kernels};
use crate::case::{Case, Kind};
use crate::channels::Channels;
use crate::found::Found;
use crate::given::Given;
use crosstalk::device::{Argument, Buffer, Device, Launch, Pointer};
use crosstalk::network::Layout;
use crosstalk::ops::cuda::{Geometry, Source, Stage, StageKernels, StageLaunch, Storage};

pub struct DeviceStage<'a> {
    device: &'a Device,
    case: &'a Case,
    kernels: StageKernels,
    inputs: Vec<Input>,
    weights: Vec<Weight>,
    output: Output,
    tasks: Buffer<Stage>,
    count: Buffer<u32>,
    /// Behind the task's pointers.
    _sources: Buffer<Source>,
    _counter: Buffer<u32>,
    scratch: Numbers,
}

struct Weight {
    name: &'static str,
    layout: Layout,
    values: Buffer<f32>,
    parts: Buffer<f32>,
}

impl<'a> DeviceStage<'a> {
    /// Everything in place for the forward pass; with `accumulate`, gradients start as the inputs themselves.
    pub fn new(device: &'a Device, storage: Storage, given: &Given<'a>, accumulate: bool) -> Self {
        let case = given.case;
        let kernels = kernels(case, storage);
        let parts = match case.operation {
            // A gate's sums have a part for every group of channels, too.
            Kind::Node => kernels.gradient_parts * kernels.backward[0].launch.columns,
            _ => kernels.gradient_parts,
        };
        let input = |index| Input::new(device, storage, given, index, parts, accumulate);
        let inputs: Vec<Input> = (0..case.segments.len()).map(input).collect();
        let sources: Vec<Source> = inputs.iter().map(|input| input.source(case, accumulate)).collect();
        let sources = upload(device, "sources", &sources);
        let weights: Vec<Weight> = (case.weights().into_iter().zip(&kernels.weight_parts))
            .map(|((name, layout), &parts)| Weight::new(device, given, name, layout, parts))
            .collect();
        let of_weights =
            |pointer: fn(&Weight) -> Pointer| [0, 1].map(|i| weights.get(i).map_or(Pointer::NULL, pointer));
        let output = Output::new(device, storage, given, kernels.forward.launch.parts);
        let normalization = output.normalization.as_ref();
        let affine = normalization.and_then(|normalization| normalization.affine.as_ref());
        let counter = device.zeros("counter", 1).expect("memory");
        let Geometry { from, to, window, in_channels, out_channels } = geometry(case);
        let operation = case.linear();
        let scratch = operation.map_or(0, |operation| operation.linear().device_scratch_len(in_channels as usize));
        let scratch = case.batch * scratch;
        let scratch = Numbers::allocate(device, storage, "scratch", scratch);
        let stage = Stage {
            sources: Pointer::to(&sources, 0),
            source_count: inputs.len() as u32,
            relu: case.relu.into(),
            from,
            to,
            window,
            in_channels,
            out_channels,
            weights: of_weights(|weight| Pointer::to(&weight.values, 0)),
            weight_parts: of_weights(|weight| Pointer::to(&weight.parts, 0)),
            output: output.values.pointer(),
            output_gradient: output.gradient.pointer(),
            normalization: normalization.map_or(Pointer::NULL, |normalization| Pointer::to(&normalization.rows, 0)),
            moments: normalization.map_or(Pointer::NULL, |normalization| Pointer::to(&normalization.moments, 0)),
            statistics: normalization.map_or(Pointer::NULL, |normalization| Pointer::to(&normalization.statistics, 0)),
            scale: pointer_of_pair(affine, 0),
            shift: pointer_of_pair(affine, 1),
            scratch: scratch.pointer(),
            counter: Pointer::to(&counter, 0),
            epsilon: case.epsilon as f32,
            kind: operation.map_or(0, |operation| operation.linear().stage_kind()),
        };
        Self {
            device,
            case,
            kernels,
            tasks: upload(device, "tasks", &[stage]),
            count: upload(device, "count", &[1]),
            inputs,
            weights,
            output,
            _sources: sources,
            _counter: counter,
            scratch,
        }
    }

    /// Runs the kernels, each in a grid with room for one task more than there is.
    pub fn run(&mut self) {
        self.launch(&self.kernels.forward.launch);
        self.output.finish_gradient();
        self.kernels.backward.iter().for_each(|kernel| self.launch(&kernel.launch));
    }

    fn launch(&self, launch: &StageLaunch) {
        let StageLaunch { kernel, parts, columns, shared_bytes } = *launch;
        let block = [StageLaunch::THREADS, 1, 1];
        let launch = Launch { kernel, grid: [parts, 2, columns], block, shared_bytes, cooperative: false };
        let arguments = [Argument::buffer(&self.tasks), Argument::buffer(&self.count)];
        self.device.launch(&launch, &arguments).unwrap_or_else(|error| panic!("{}: {error}", self.case));
    }

    /// The concatenated input without padding, as it is stored.
    pub fn input(&self) -> Vec<f32> {
        self.concatenated(Input::values)
    }

    /// Normalized in f32.
    pub fn normalized_input(&self) -> Vec<f32> {
        self.concatenated(Input::normalized)
    }

    pub fn input_gradient(&self) -> Vec<f32> {
        self.concatenated(Input::gradient)
    }

    fn concatenated(&self, part: fn(&Input) -> Vec<f32>) -> Vec<f32> {
        let parts: Vec<Vec<f32>> = self.inputs.iter().map(part).collect();
        let channels = self.case.segments.iter().map(|segment| segment.channels);
        let mut pixels: Vec<_> = parts.iter().zip(channels).map(|(part, channels)| part.chunks(channels)).collect();
        let pixel_count = self.case.batch * self.case.input().pixels();
        let pixel =
            |_| pixels.iter_mut().flat_map(|pixels| pixels.next().expect("a pixel")).copied().collect::<Vec<_>>();
        (0..pixel_count).flat_map(pixel).collect()
    }

    /// Without padding.
    pub fn output(&self) -> Vec<f32> {
        self.output.logical_values()
    }

    /// In f32, before it is rounded as an operand.
    pub fn raw_output_gradient(&self) -> Vec<f32> {
        self.output.raw_gradient()
    }

    pub fn assert_statistics(&self, label: &str) {
        self.output.assert_statistics(self.case, label);
    }

    /// What the kernels of the backward pass hand over, with the channels of the input, without padding.
    pub fn scratch(&self) -> Vec<f32> {
        Channels::padded(&self.case.stored_input()).logical(&self.scratch.download())
    }

    /// All that both passes left.
    pub fn record(&self, found: &mut Found) {
        let case = self.case;
        self.inputs.iter().enumerate().for_each(|(index, input)| input.record(case, index, found));
        self.weights.iter().for_each(|weight| weight.record(case, found));
        self.output.record(case, found);
        let gates: Vec<f64> = self.inputs.iter().filter_map(Input::gate_gradient).collect();
        if !gates.is_empty() {
            found.vector("gate_gradient", &Channels::plain(gates.len()), &gates);
        }
    }
}

impl Weight {
    fn new(device: &Device, given: &Given, name: &'static str, layout: Layout, parts: u32) -> Self {
        let mut bank = vec![0.0; layout.bank_len()];
        let values: Vec<f32> = given.vector(name);
        layout.bank_positions().into_iter().zip(values).for_each(|(position, value)| bank[position] = value);
        let parts = allocate(device, "weight parts", parts as usize * bank.len());
        Self { name, layout, values: upload(device, "weights", &bank), parts }
    }

    /// The sum of the parts.
    fn record(&self, case: &Case, found: &mut Found) {
        let mut gradient = vec![0.0; self.layout.bank_len()];
        for part in download(&self.parts).chunks(gradient.len()) {
            gradient.iter_mut().zip(part).for_each(|(sum, part)| *sum += f64::from(*part));
        }
        found.parameter(self.name, &self.layout, &gradient);
        self.layout.bank_positions().into_iter().for_each(|position| gradient[position] = 0.0);
        assert!(gradient.iter().all(|padding| *padding == 0.0), "{case}, {}: padding has a gradient", self.name);
    }
}
