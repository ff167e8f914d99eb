//! Stages of values that are read as they are stored, in f32: what the table of cases does not say.

use super::On;
use super::numbers::{allocate, download, upload};
use bytemuck::Zeroable;
use crosstalk::device::{Argument, Buffer, Launch, Pointer};
use crosstalk::ops::cuda::{Geometry, Source, SourceFlags, Stage, StageKernels, StageLaunch};

pub struct Plain<'a> {
    pub kernels: StageKernels,
    pub kind: u32,
    pub values: &'a [Vec<f32>],
    /// Indices into `values`, with gates. A value may occur twice.
    pub terms: &'a [(usize, f32)],
    pub output_gradient: &'a [f32],
}

impl Plain<'_> {
    /// Output and gradients of the values.
    pub fn run(&self, on: On) -> (Vec<f32>, Vec<Vec<f32>>) {
        let device = on.device(0);
        let values: Vec<Buffer<f32>> = self.values.iter().map(|v| upload(&device, "values", v)).collect();
        let gradients: Vec<Buffer<f32>> = values.iter().map(|v| allocate(&device, "gradient", v.len())).collect();
        let gates: Vec<f32> = self.terms.iter().map(|(_, gate)| *gate).collect();
        let gates = upload(&device, "gates", &gates);
        let source = |(index, &(value, _)): (usize, &(usize, f32))| Source {
            values: Pointer::to(&values[value], 0),
            gradient: Pointer::to(&gradients[value], 0),
            gate: Pointer::to(&gates, index),
            channels: self.kernels.geometry.in_channels,
            flags: match self.terms[..index].iter().any(|(earlier, _)| *earlier == value) {
                true => SourceFlags::ACCUMULATE,
                false => SourceFlags::NONE,
            },
            ..Source::zeroed()
        };
        let sources: Vec<Source> = self.terms.iter().enumerate().map(source).collect();
        let sources = upload(&device, "sources", &sources);
        let output = allocate(&device, "output", self.output_gradient.len());
        let output_gradient = upload(&device, "output gradient", self.output_gradient);
        let Geometry { from, to, window, in_channels, out_channels } = self.kernels.geometry;
        let stage = Stage {
            sources: Pointer::to(&sources, 0),
            source_count: self.terms.len() as u32,
            from,
            to,
            window,
            in_channels,
            out_channels,
            output: Pointer::to(&output, 0),
            output_gradient: Pointer::to(&output_gradient, 0),
            kind: self.kind,
            ..Stage::zeroed()
        };
        let (stages, count) = (upload(&device, "stages", &[stage]), upload(&device, "count", &[1_u32]));
        for kernel in [&self.kernels.forward].into_iter().chain(&self.kernels.backward) {
            let StageLaunch { kernel, parts, columns, shared_bytes } = kernel.launch;
            let block = [StageLaunch::THREADS, 1, 1];
            let launch = Launch { kernel, grid: [parts, 1, columns], block, shared_bytes, cooperative: false };
            let arguments = [Argument::buffer(&stages), Argument::buffer(&count)];
            device.launch(&launch, &arguments).unwrap_or_else(|error| panic!("{error}"));
        }
        (download(&output), gradients.iter().map(download).collect())
    }
}
