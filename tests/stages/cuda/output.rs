//! What a stage writes, and its gradient as a consumer leaves it.

use super::numbers::{Numbers, allocate, download, upload};
use crate::case::{Case, Normalization};
use crate::channels::Channels;
use crate::found::Found;
use crate::given::Given;
use crosstalk::device::{Buffer, Device};
use crosstalk::ops::cuda::Storage;
use crosstalk::ops::normalization::reference::{self as normalization, GradientSums, Rows};
use crosstalk::tensor::Shape;

pub struct Output {
    shape: Shape,
    channels: Channels,
    pub values: Numbers,
    pub gradient: Numbers,
    pub normalization: Option<OutputNormalization>,
}

pub struct OutputNormalization {
    pub rows: Buffer<f32>,
    pub moments: Buffer<f32>,
    pub statistics: Buffer<f64>,
    pub affine: Option<[Buffer<f32>; 2]>,
    /// Of dz and of dz * xhat.
    sums: [Vec<f64>; 2],
}

impl Output {
    /// `parts` are those of the forward kernel.
    pub fn new(device: &Device, storage: Storage, given: &Given, parts: u32) -> Self {
        let (case, shape) = (given.case, given.case.output());
        let channels = Channels::padded(&case.stored_output());
        let gradient = Numbers::upload(device, storage, "output gradient", &given.maps("output_gradient", &channels));
        let stored = channels.stored;
        let affine = |name: &str| {
            let mut padded = vec![0.0; stored];
            let values: Vec<f32> = given.vector(name);
            channels.positions.iter().zip(values).for_each(|(&at, value)| padded[at] = value);
            upload(device, name, &padded)
        };
        let normalization = (case.normalization() != Normalization::None).then(|| OutputNormalization {
            rows: allocate(device, "normalization", Rows::COUNT * stored),
            moments: allocate(device, "moments", parts as usize * 3 * stored),
            statistics: allocate(device, "statistics", 2 * stored),
            affine: (case.normalization() == Normalization::Affine).then(|| ["gamma", "beta"].map(affine)),
            sums: [Vec::new(), Vec::new()],
        });
        let values = Numbers::allocate(device, storage, "output", gradient.len());
        Self { shape, channels, values, gradient, normalization }
    }

    /// After the forward pass: writes the means that the output's consumer leaves in its normalization.
    pub fn finish_gradient(&mut self) {
        let Some(OutputNormalization { rows: table, sums, .. }) = &mut self.normalization else { return };
        let (gradient, mut rows) = (self.gradient.download(), Rows(download(table)));
        *sums = rows.gradient_sums(&gradient, &self.values.download()).map(|GradientSums { sums, .. }| sums);
        let pixels = (gradient.len() / rows.channels()) as f64;
        let means = sums.each_ref().map(|sums| sums.iter().map(|sum| (sum / pixels) as f32).collect::<Vec<_>>());
        rows.set_means(means.each_ref().map(Vec::as_slice));
        table.upload(&rows.0).expect("values");
    }

    /// Without padding.
    pub fn logical_values(&self) -> Vec<f32> {
        self.channels.logical(&self.values.download())
    }

    /// The gradient of the raw output, in f32 without padding.
    pub fn raw_gradient(&self) -> Vec<f32> {
        let gradient = self.gradient.download();
        let Some(normalization) = &self.normalization else { return self.channels.logical(&gradient) };
        let rows = Rows(download(&normalization.rows));
        self.channels.logical(&rows.raw_gradient(&gradient, &self.values.download()))
    }

    /// Asserts that the statistics are those of the stored output.
    pub fn assert_statistics(&self, case: &Case, label: &str) {
        let Some(OutputNormalization { rows, statistics, affine, .. }) = &self.normalization else { return };
        let (rows, statistics, stored) = (Rows(download(rows)), download(statistics), self.channels.stored);
        let y: Vec<f64> = self.values.download().into_iter().map(f64::from).collect();
        let (count, mean, squares) = normalization::moments(&y, stored);
        let [gamma, beta] = [0, 1].map(|which| affine.as_ref().map(|affine| download(&affine[which])));
        for channel in 0..stored {
            let of = |values: &Option<Vec<f32>>, absent| values.as_ref().map_or(absent, |v| f64::from(v[channel]));
            let variance = squares[channel] / count;
            let rstd = 1.0 / (statistics[stored + channel] + case.epsilon).sqrt();
            let deviation = variance.sqrt();
            for (name, found, expected, scale) in [
                ("mean", statistics[channel], mean[channel], mean[channel].abs() + deviation),
                ("variance", statistics[stored + channel], variance, variance),
                ("row of the mean", rows.row(Rows::MEAN)[channel].into(), statistics[channel], mean[channel].abs()),
                ("row of rstd", rows.row(Rows::RSTD)[channel].into(), rstd, rstd),
                ("scale", rows.row(Rows::SCALE)[channel].into(), rstd * of(&gamma, 1.0), rstd),
                ("shift", rows.row(Rows::SHIFT)[channel].into(), of(&beta, 0.0), 1.0),
            ] {
                let error = (found - expected).abs();
                assert!(error <= 1e-5 * scale, "{label}, {name} of channel {channel}: {found}, not {expected}");
            }
        }
    }

    pub fn record(&self, case: &Case, found: &mut Found) {
        let Self { shape, channels, values, normalization, .. } = self;
        let (values, stored) = (values.download(), channels.stored);
        channels.assert_padding_is_zero(&values, &format!("{case}, output"));
        found.maps("raw", *shape, channels, &values);
        let Some(OutputNormalization { rows, statistics, sums: [sums, sums_xhat], .. }) = normalization else { return };
        let (rows, statistics) = (Rows(download(rows)), download(statistics));
        found.vector("mean", channels, &statistics[..stored]);
        found.vector("variance", channels, &statistics[stored..]);
        found.maps("normalized", *shape, channels, &rows.normalize(&values));
        if case.normalization() == Normalization::Affine {
            found.vector("gamma_gradient", channels, sums_xhat);
            found.vector("beta_gradient", channels, sums);
        }
    }
}
