//! PyTorch's networks with their weights and mini-batches, as `tests/pytorch/networks.py` wrote them.

use crate::common::goldens::Golden;
use crosstalk::backend::{Backend, LoadedBatch};
use crosstalk::data::{Dataset, PixelTable, Records, gather, image_length, labels};
use crosstalk::network::{Model, Network, NetworkSize, Sharing, State, export_parameters, import_parameters};
use crosstalk::space::{Child, Space};
use crosstalk::tensor::{Real, Shape};
use crosstalk::tensors::{Tensor, TensorFile};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Deserialize)]
pub struct Description {
    pub space: String,
    /// Of cells, for nasbench201.
    pub affine: Option<bool>,
    pub tracked: Option<bool>,
    pub bias: Option<bool>,
    /// Whether candidates that no child uses have no weights here.
    #[serde(default)]
    pub partial: bool,
    pub channels: usize,
    pub cells: usize,
    pub classes: usize,
    pub image_channels: usize,
    pub height: usize,
    pub width: usize,
    pub batch: usize,
    pub children: Vec<String>,
}

/// A network of PyTorch's with its weights, and its mini-batch.
pub struct Case<T> {
    pub golden: Golden<Description>,
    pub model: Arc<Model>,
    pub state: State<T>,
    pub images: Vec<T>,
    pub labels: Vec<u8>,
}

impl<T: Real> Case<T> {
    pub fn read(name: &str) -> Self {
        let golden: Golden<Description> = Golden::read(name);
        let Description { channels, cells, classes, image_channels, height, width, .. } = golden.description;
        let shape = Shape::new(height, width, image_channels);
        let size = NetworkSize { input: shape, channels, cells, classes };
        let network = Network::build(&space(&golden.description), size).expect("a valid size");
        let model = Arc::new(Model::new(network, Sharing::All, &[]));
        let mut state = State::zeroed(&model);
        let mut weights = through_a_file(golden.under("weights/"));
        if golden.description.partial {
            for (name, zeros) in export_parameters(&model, &state) {
                weights.entry(name).or_insert(zeros);
            }
        }
        import_parameters(&model, &weights, &mut state).expect("official names");
        let (images, labels) = mini_batch(&golden, shape);
        Self { golden, model, state, images, labels }
    }

    pub fn batch<B: Backend<Real = T>>(&self, backend: &B) -> LoadedBatch<B> {
        backend.load_numbers(self.images.clone(), self.labels.clone()).expect("a device that works")
    }

    pub fn replica<B: Backend<Real = T>>(&self, backend: &B) -> B::Replica {
        backend.replica(&self.model, self.state.clone()).expect("a device that works")
    }

    pub fn children(&self) -> Vec<(String, Child)> {
        let parse = |name: &String| self.model.network.space.parse_child(name).expect("a child of the space");
        self.golden.description.children.iter().map(|name| (name.clone(), parse(name))).collect()
    }
}

/// The built-in space with the description's cells.
fn space(description: &Description) -> Space {
    let mut space = Space::built_in(&description.space).expect("a built-in space");
    let cell = &mut space.normalization.cell;
    cell.affine = description.affine.unwrap_or(cell.affine);
    cell.tracked = description.tracked.unwrap_or(cell.tracked);
    space.convolution_bias = description.bias.unwrap_or_default();
    if description.children.iter().any(|child| child.contains('/')) { space.untied(description.cells) } else { space }
}

/// What stands in a file after writing and reading these tensors.
fn through_a_file(tensors: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("weights.safetensors");
    TensorFile { tensors, ..TensorFile::default() }.write(&path).expect("a file written");
    TensorFile::read(&path).expect("a file read").tensors
}

/// PyTorch's images and labels through our data set and pixel table.
fn mini_batch<T: Real>(golden: &Golden<Description>, shape: Shape) -> (Vec<T>, Vec<u8>) {
    let (pixels, channels) = (shape.pixels(), shape.channels);
    let planes = bytes(golden, "images");
    let interleaved = |at: usize| {
        let (image, pixel, channel) = (at / channels / pixels, at / channels % pixels, at % channels);
        planes[(image * channels + channel) * pixels + pixel]
    };
    let records = Records { images: (0..planes.len()).map(interleaved).collect(), labels: bytes(golden, "labels") };
    let classes = golden.description.classes;
    let dataset = Dataset::from_records("golden", shape, classes, records, None).expect("a data set");
    let images: Vec<u32> = (0..golden.description.batch as u32).collect();
    let mut out = vec![T::default(); images.len() * image_length(shape)];
    gather(&dataset, &pixel_table(golden), &images, None, &mut out);
    (out, labels(&dataset, &images))
}

fn bytes(golden: &Golden<Description>, name: &str) -> Vec<u8> {
    golden.values::<f64>(name).into_iter().map(|byte| byte as u8).collect()
}

pub fn pixel_table(golden: &Golden<Description>) -> PixelTable {
    PixelTable::new(&golden.values::<f64>("mean"), &golden.values::<f64>("deviation")).expect("a pixel table")
}

pub const NETWORKS: [&str; 8] = [
    "zhang64_network",
    "zhang64_odd",
    "nasbench201_network",
    "nasbench201_bias",
    "nasbench201_affine",
    "darts_network",
    "darts_zeros",
    "darts_untied",
];

pub const MIXTURES: [&str; 3] = ["zhang64_mixture", "nasbench201_mixture", "darts_mixture"];
