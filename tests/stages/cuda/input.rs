//! A value that a stage reads, and what the stage leaves for its producer.

use super::numbers::{Numbers, allocate, download, pointer_of_pair, upload};
use super::rows::assert_sums;
use crate::case::{Case, Kind, Normalization};
use crate::channels::Channels;
use crate::found::Found;
use crate::given::Given;
use crosstalk::device::{Buffer, Device, Pointer};
use crosstalk::network::Segments;
use crosstalk::ops::cuda::{Source, SourceFlags, Storage};
use crosstalk::ops::normalization::reference::{self as normalization, Rows};
use crosstalk::tensor::Shape;

pub struct Input {
    shape: Shape,
    channels: Channels,
    values: Numbers,
    normalization: Option<InputNormalization>,
    gradient: Option<Numbers>,
    /// Of a node's term, and the parts of its gradient.
    gate: Option<[Buffer<f32>; 2]>,
}

struct InputNormalization {
    rows: Buffer<f32>,
    mean: Vec<f64>,
    variance: Vec<f64>,
    sums: Buffer<f32>,
    affine_gradients: Option<[Buffer<f32>; 2]>,
}

impl Input {
    /// `parts` are those of the kernel that writes its gradient, which starts as the input itself where it is added to.
    pub fn new(device: &Device, storage: Storage, given: &Given, index: usize, parts: u32, accumulate: bool) -> Self {
        let (case, segment) = (given.case, given.case.segments[index]);
        let shape = Shape { channels: segment.channels, ..case.input() };
        let (channels, storage) = match case.image {
            true => (Channels::padded(&case.stored_input()), Storage::F32),
            false => (Channels::padded(&Segments::features(vec![segment.channels])), storage),
        };
        let values = Numbers::upload(device, storage, "input", &given.maps(&format!("input.{index}"), &channels));
        let gradient = (!case.image).then(|| match accumulate {
            true => Numbers::upload(device, storage, "input gradient", &values.download()),
            false => Numbers::allocate(device, storage, "input gradient", values.len()),
        });
        let affine = (segment.normalization == Normalization::Affine)
            .then(|| ["gamma", "beta"].map(|name| given.vector::<f64>(&format!("input_{name}.{index}"))));
        let normalization = (segment.normalization != Normalization::None)
            .then(|| InputNormalization::new(device, case, &values, &channels, affine, parts));
        let gate = (case.operation == Kind::Node).then(|| {
            let gate = upload(device, "gate", &[given.vector::<f32>("gate")[index]]);
            [gate, allocate(device, "gate sums", parts as usize)]
        });
        Self { shape, channels, values, normalization, gradient, gate }
    }

    pub fn source(&self, case: &Case, accumulate: bool) -> Source {
        let normalization = self.normalization.as_ref();
        let affine = normalization.and_then(|normalization| normalization.affine_gradients.as_ref());
        Source {
            values: self.values.pointer(),
            normalization: normalization.map_or(Pointer::NULL, |normalization| Pointer::to(&normalization.rows, 0)),
            gradient: self.gradient.as_ref().map_or(Pointer::NULL, Numbers::pointer),
            sums: normalization.map_or(Pointer::NULL, |normalization| Pointer::to(&normalization.sums, 0)),
            scale_gradient: pointer_of_pair(affine, 0),
            shift_gradient: pointer_of_pair(affine, 1),
            gate: pointer_of_pair(self.gate.as_ref(), 0),
            gate_sums: pointer_of_pair(self.gate.as_ref(), 1),
            channels: self.channels.stored as u32,
            flags: match (case.image, accumulate) {
                (true, _) => SourceFlags::IMAGE,
                (false, true) => SourceFlags::ACCUMULATE,
                (false, false) => SourceFlags::NONE,
            },
        }
    }

    /// As it is stored, without padding: itself, normalized in f32, and its gradient.
    pub fn values(&self) -> Vec<f32> {
        self.channels.logical(&self.values.download())
    }

    pub fn normalized(&self) -> Vec<f32> {
        let values = self.values.download();
        let Some(normalization) = &self.normalization else { return self.channels.logical(&values) };
        self.channels.logical(&Rows(download(&normalization.rows)).normalize(&values))
    }

    pub fn gradient(&self) -> Vec<f32> {
        self.channels.logical(&self.gradient.as_ref().expect("a gradient that is wanted").download())
    }

    /// The gate's gradient, of a node's term.
    pub fn gate_gradient(&self) -> Option<f64> {
        let [_, parts] = self.gate.as_ref()?;
        Some(download(parts).into_iter().map(f64::from).sum())
    }

    pub fn record(&self, case: &Case, index: usize, found: &mut Found) {
        let Self { shape, channels, values, normalization, gradient, .. } = self;
        let label = format!("{case}, input {index}");
        let gradient = gradient.as_ref().map(Numbers::download);
        if let Some(gradient) = &gradient {
            channels.assert_padding_is_zero(gradient, &label);
            found.maps(format!("input_gradient.{index}"), *shape, channels, gradient);
        }
        let Some(InputNormalization { rows, mean, variance, affine_gradients, .. }) = normalization else { return };
        found.vector(format!("input_mean.{index}"), channels, mean);
        found.vector(format!("input_variance.{index}"), channels, variance);
        let Some(gradient) = &gradient else { return };
        let rows = Rows(download(rows));
        let sums = rows.gradient_sums(gradient, &values.download());
        let count = (gradient.len() / channels.stored) as f64;
        assert_sums(&label, &sums, [rows.row(Rows::M1), rows.row(Rows::M2)], count);
        if let Some([scale, shift]) = affine_gradients {
            assert_sums(&label, &sums, [&download(shift), &download(scale)], 1.0);
        }
    }
}

impl InputNormalization {
    fn new(
        device: &Device,
        case: &Case,
        values: &Numbers,
        channels: &Channels,
        affine: Option<[Vec<f64>; 2]>,
        parts: u32,
    ) -> Self {
        let stored = channels.stored;
        let y: Vec<f64> = values.download().into_iter().map(f64::from).collect();
        let (count, mean, squares) = normalization::moments(&y, stored);
        let variance: Vec<f64> = squares.iter().map(|square| square / count).collect();
        let mut rows = Rows(vec![0.0; Rows::COUNT * stored]);
        for (channel, &at) in channels.positions.iter().enumerate() {
            let rstd = 1.0 / (variance[at] + case.epsilon).sqrt();
            let [gamma, beta] = affine.as_ref().map_or([1.0, 0.0], |affine| affine.each_ref().map(|v| v[channel]));
            for (row, value) in
                [(Rows::MEAN, mean[at]), (Rows::SCALE, gamma * rstd), (Rows::SHIFT, beta), (Rows::RSTD, rstd)]
            {
                rows.row_mut(row)[at] = value as f32;
            }
        }
        Self {
            rows: upload(device, "input normalization", &rows.0),
            mean,
            variance,
            sums: allocate(device, "sums", parts as usize * 2 * stored),
            affine_gradients: affine
                .map(|_| ["scale gradient", "shift gradient"].map(|name| allocate(device, name, stored))),
        }
    }
}
