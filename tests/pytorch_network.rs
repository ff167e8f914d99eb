//! Whole networks against PyTorch's numbers (`tests/pytorch/networks.py`), on every backend; CUDA's kernels run on the emulator and, where asked for, on a GPU.

mod common;

use common::goldens::{Golden, assert_close, tensor};
use common::gpu;
use crosstalk::backend::cpu::Cpu;
use crosstalk::backend::cuda::Cuda;
use crosstalk::backend::host::{
    Architecture, ChildEvaluation, EvaluationPlan, EvaluationRegime, GateStep, Host, Recalibrated, Reduce, ReplicaStep,
};
use crosstalk::backend::reference::Reference;
use crosstalk::backend::{Executor, LanePlan, MiniBatch, TrainLane, TrainResult};
use crosstalk::data::{Dataset, PixelTable, Records, gather, image_length, labels};
use crosstalk::device::Device;
#[cfg(unix)]
use crosstalk::device::emulator::{Copies, Schedule};
use crosstalk::network::{Model, Network, NetworkSize, Sharing, State, export_parameters, import_parameters};
use crosstalk::ops::cuda::Storage;
use crosstalk::ops::sgd::{Sgd, Unsampled};
use crosstalk::plan::{Gates, Graph};
use crosstalk::search::{export_table, import_alphas};
use crosstalk::simd::Level;
use crosstalk::space::{Child, Space};
use crosstalk::tensor::{Real, Shape};
use crosstalk::tensors::{Tensor, TensorFile, Values};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Deserialize)]
struct Description {
    space: String,
    /// Of cells, for nasbench201.
    affine: Option<bool>,
    tracked: Option<bool>,
    bias: Option<bool>,
    /// Whether candidates that no child uses have no weights here.
    #[serde(default)]
    partial: bool,
    channels: usize,
    cells: usize,
    classes: usize,
    image_channels: usize,
    height: usize,
    width: usize,
    batch: usize,
    children: Vec<String>,
}

/// How far a backend may be from PyTorch's f64.
struct Tolerances {
    loss: f64,
    gradient: f64,
    running_statistics: f64,
}

const F64: Tolerances = Tolerances { loss: 1e-9, gradient: 1e-9, running_statistics: 1e-9 };

/// The mini-batches stay away from ties.
const F32: Tolerances = Tolerances { loss: 1e-6, gradient: 3e-5, running_statistics: 1e-6 };

/// A network of PyTorch's with its weights, and its mini-batch.
struct Case<T> {
    golden: Golden<Description>,
    model: Arc<Model>,
    state: State<T>,
    images: Vec<T>,
    labels: Vec<u8>,
}

impl<T: Real> Case<T> {
    fn read(name: &str) -> Self {
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

    fn batch(&self) -> MiniBatch<'_, T> {
        MiniBatch { images: &self.images, labels: &self.labels }
    }

    fn children(&self) -> Vec<(String, Child)> {
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

fn pixel_table(golden: &Golden<Description>) -> PixelTable {
    PixelTable::new(&golden.values::<f64>("mean"), &golden.values::<f64>("deviation")).expect("a pixel table")
}

const NETWORKS: [&str; 8] = [
    "zhang64_network",
    "zhang64_odd",
    "nasbench201_network",
    "nasbench201_bias",
    "nasbench201_affine",
    "darts_network",
    "darts_zeros",
    "darts_untied",
];

const MIXTURES: [&str; 3] = ["zhang64_mixture", "nasbench201_mixture", "darts_mixture"];

#[test]
fn the_pixel_table_has_the_bits_of_numpy() {
    for name in NETWORKS {
        let golden: Golden<Description> = Golden::read(name);
        let Values::F32(expected) = &golden.get("pixel_table").values else { panic!("a table of f32") };
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
        assert_eq!(bits(pixel_table(&golden).as_flat()), bits(expected), "{name}");
    }
}

fn assert_loss_is_close(label: &str, found: f64, expected: f64, tolerance: f64) {
    let error = (found - expected).abs() / expected.abs();
    assert!(error <= tolerance, "{label}: loss {found}, PyTorch's {expected}, relative error {error:e}");
}

/// Loss and gradient of every parameter that a child uses.
fn check_training<E: Executor>(executor: &E, tolerances: &Tolerances) {
    for name in NETWORKS {
        let case: Case<E::Real> = Case::read(name);
        for (child_name, child) in case.children() {
            let graph = Graph::of_children(&case.model, &[child]);
            check_lane(executor, tolerances, &case, &format!("{name}, child {child_name}"), &child_name, graph, None);
        }
    }
}

/// Loss and weight gradients of one lane against the golden numbers under `key`.
fn check_lane<E: Executor>(
    executor: &E,
    tolerances: &Tolerances,
    case: &Case<E::Real>,
    label: &str,
    key: &str,
    graph: Graph,
    gates: Option<&Gates>,
) -> TrainResult<E::Real> {
    let network = &case.model.network;
    let plan = LanePlan::training(network, graph);
    let lane = TrainLane {
        network,
        plan: &plan,
        batch: case.batch(),
        bank: &case.state.weights,
        gates,
        weight_gradients: true,
    };
    let result = executor.train(&[lane]).expect("a device that works").remove(0);
    let loss = case.golden.number(&format!("loss/{key}"));
    assert_loss_is_close(label, result.loss, loss, tolerances.loss);
    let logits = case.golden.values::<f64>(&format!("logits/{key}"));
    assert_eq!(result.correct as usize, correct(&predictions(&logits, network.classes), &case.labels), "{label}");
    let gradient = |reference: &crosstalk::network::ParameterRef| {
        let parameter = &network.parameters[reference.parameter];
        let row = &result.row[plan.row_range(*reference)];
        let values = parameter.layout.bank_positions().into_iter().map(|at| row[at].to_f64()).collect();
        (parameter.name.clone(), tensor(parameter.layout.shape(), values))
    };
    let mut found: BTreeMap<String, Tensor> = plan.parameters.iter().map(gradient).collect();
    let mut expected = case.golden.under(&format!("grad/{key}/"));
    drop_canceled(label, [&mut found, &mut expected], tolerances.gradient);
    let worst = assert_close(&format!("gradients of {label}"), found, expected, tolerances.gradient);
    println!("{label}: loss {:e}, gradients {worst:.1e}", (result.loss - loss).abs() / loss);
    result
}

/// The mixture of all candidates: its loss, gradients of weights and of architecture parameters, and the running statistics that it moves.
fn check_mixtures<E: Executor>(executor: E, tolerances: &Tolerances) {
    let host = Host::new(executor);
    for name in MIXTURES {
        let case: Case<E::Real> = Case::read(name);
        let (model, space) = (&case.model, &case.model.network.space);
        let alphas =
            import_alphas(space, &case.golden.under("alphas/"), false).expect("alphas that fit").expect("alphas");
        let gates = alphas.gates();
        let graph = Graph::of_mixture(model);
        let whole = check_lane(&host.executor, tolerances, &case, name, "mixture", graph, Some(&gates));
        let mut state = case.state.clone();
        let step = GateStep { model, state: &mut state, gates: &gates, batch: case.batch() };
        let found = host.gate_gradients(&mut [step]).expect("a device that works").remove(0);
        assert_eq!(found.gradients, whole.gates, "{name}: without the gradients of the weights");
        let loss = case.golden.number("loss/mixture");
        assert_loss_is_close(name, found.loss.loss, loss, tolerances.loss);
        let gradients = export_table(space, &alphas.gradients(&found.gradients));
        let expected = case.golden.under("alpha_grad/");
        let worst = assert_close(&format!("alphas of {name}"), gradients, expected, tolerances.gradient);
        println!("{name}: gradients of alphas {worst:.1e}");
        assert_tracked(name, &case, &state, "mixture", tolerances);
    }
}

/// A shift that a normalization behind it cancels has the gradient zero, of which rounding leaves something in either program: such
/// gradients must be as small as that beside all others.
fn drop_canceled(label: &str, pair: [&mut BTreeMap<String, Tensor>; 2], tolerance: f64) {
    let [found, expected] = pair;
    let square = |tensor: &Tensor| tensor.values.iter_f64().map(|value| value * value).sum::<f64>();
    let all: f64 = expected.values().map(square).sum::<f64>().sqrt();
    expected.retain(|name, tensor| {
        let canceled = name.ends_with(".bias") && square(tensor).sqrt() < 1e-12 * all;
        if canceled && let Some(ours) = found.remove(name) {
            assert!(square(&ours).sqrt() < 1e-2 * tolerance * all, "{label}: {name} is no rounding");
        }
        !canceled
    });
}

/// First largest logit of every image.
fn predictions(logits: &[f64], classes: usize) -> Vec<u8> {
    let first_largest =
        |row: &[f64]| (0..classes).fold(0, |best, class| if row[class] > row[best] { class } else { best });
    logits.chunks(classes).map(|row| first_largest(row) as u8).collect()
}

fn correct(predictions: &[u8], labels: &[u8]) -> usize {
    predictions.iter().zip(labels).filter(|(prediction, label)| prediction == label).count()
}

/// Running statistics and counts that one step moves; every other tensor stays as it was.
fn check_running_statistics<E: Executor>(executor: E, tolerances: &Tolerances) {
    let host = Host::new(executor);
    for name in NETWORKS {
        let case: Case<E::Real> = Case::read(name);
        for (child_name, child) in case.children() {
            let mut state = case.state.clone();
            let lanes = vec![(Architecture::Child(child), case.batch())];
            let sgd =
                Sgd { momentum: 0.0, weight_decay: 0.0, nesterov: false, clip_norm: None, unsampled: Unsampled::Skip };
            let (model, reduce) = (&case.model, Reduce::Mean);
            host.step(&mut [ReplicaStep { model, state: &mut state, lanes, reduce, sgd, learning_rate: 0.0 }])
                .expect("a device that works");
            assert_tracked(&format!("{name}, child {child_name}"), &case, &state, &child_name, tolerances);
        }
    }
}

/// What a forward pass moved is what PyTorch's moved under `key`; every other tensor is as it was.
fn assert_tracked<T: Real>(label: &str, case: &Case<T>, state: &State<T>, key: &str, tolerances: &Tolerances) {
    let before = export_parameters(&case.model, &case.state);
    let expected = case.golden.under(&format!("tracked/{key}/"));
    let (moved, kept): (BTreeMap<String, Tensor>, BTreeMap<String, Tensor>) =
        export_parameters(&case.model, state).into_iter().partition(|(name, _)| expected.contains_key(name));
    for (name, tensor) in &kept {
        assert_eq!(tensor, &before[name], "{label}: {name} moved");
    }
    let (counts, expected_counts) = [&moved, &expected].map(integers).into();
    assert_eq!(counts, expected_counts, "{label}");
    assert_close(label, moved, expected, tolerances.running_statistics);
}

fn integers(tensors: &BTreeMap<String, Tensor>) -> BTreeMap<String, Values> {
    let integers = tensors.iter().filter(|(_, tensor)| matches!(tensor.values, Values::I64(_)));
    integers.map(|(name, tensor)| (name.clone(), tensor.values.clone())).collect()
}

#[derive(Clone, Copy, Debug)]
enum Statistics {
    Running,
    Batch,
    Recalibrated,
}

fn evaluate<E: Executor>(
    host: &Host<E>,
    case: &Case<E::Real>,
    children: &[Child],
    statistics: Statistics,
) -> Vec<ChildEvaluation> {
    let plan = EvaluationPlan::new(&case.model, children);
    let mut recalibrated = Recalibrated::new(&plan);
    let regime = match statistics {
        Statistics::Running => EvaluationRegime::Running,
        Statistics::Batch => EvaluationRegime::Batch,
        Statistics::Recalibrated => {
            // Two mini-batches of different sizes.
            let image = case.images.len() / case.labels.len();
            for images in [0..3, 1..case.labels.len()] {
                let pixels = &case.images[images.start * image..images.end * image];
                let batch = MiniBatch { images: pixels, labels: &case.labels[images] };
                host.recalibrate(&plan, &case.state, batch, 2, &mut recalibrated, &mut || {})
                    .expect("a device that works");
            }
            EvaluationRegime::Recalibrated(&recalibrated)
        }
    };
    let mut results = vec![ChildEvaluation::default(); children.len()];
    host.evaluate(&plan, &case.state, case.batch(), regime, &mut results, &mut || {}).expect("a device that works");
    results
}

/// Loss, correct and predictions under running and under batch statistics.
fn check_evaluation<E: Executor>(executor: E, tolerances: &Tolerances) {
    let host = Host::new(executor);
    for name in NETWORKS {
        let case: Case<E::Real> = Case::read(name);
        for (child_name, child) in case.children() {
            for (regime, statistics) in [("running", Statistics::Running), ("batch", Statistics::Batch)] {
                let found = evaluate(&host, &case, std::slice::from_ref(&child), statistics).remove(0);
                let golden = |part: &str| format!("evaluation/{child_name}/{regime}/{part}");
                let label = format!("{name}, child {child_name}, {regime}");
                assert_loss_is_close(&label, found.loss(), case.golden.number(&golden("loss")), tolerances.loss);
                assert_eq!(f64::from(found.correct), case.golden.number(&golden("correct")), "{label}");
                let logits = case.golden.values::<f64>(&golden("logits"));
                assert_eq!(found.predictions, predictions(&logits, case.golden.description.classes), "{label}");
            }
        }
    }
}

/// Children all over the space in one graph, which computes what they share once, and each in a graph of its own.
fn check_merged_graphs<E: Executor>(executor: E, children: &str) {
    let host = Host::new(executor);
    for name in NETWORKS {
        let case: Case<E::Real> = Case::read(name);
        let children = case.model.network.space.parse_children(children).expect("a list");
        let alone: usize = children
            .iter()
            .map(|child| Graph::of_children(&case.model, std::slice::from_ref(child)).stages.len())
            .sum();
        let merged = Graph::of_children(&case.model, &children).stages.len();
        assert!(merged < alone, "{name}: {merged} stages merged, {alone} alone");
        for statistics in [Statistics::Running, Statistics::Batch, Statistics::Recalibrated] {
            let together = evaluate(&host, &case, &children, statistics);
            assert!(together.windows(2).any(|pair| pair[0].loss_sum != pair[1].loss_sum), "children differ");
            for (child, merged) in children.iter().zip(&together) {
                let alone = evaluate(&host, &case, std::slice::from_ref(child), statistics).remove(0);
                let label = format!("{name}, {statistics:?}, {}", case.model.network.space.format_child(child));
                assert_eq!(merged.loss_sum.to_bits(), alone.loss_sum.to_bits(), "{label}");
                assert_eq!((merged.correct, &merged.predictions), (alone.correct, &alone.predictions), "{label}");
            }
        }
    }
}

#[test]
fn losses_and_gradients_of_the_reference_are_those_of_pytorch() {
    check_training(&Reference, &F64);
}

#[test]
fn losses_and_gradients_of_the_cpu_are_those_of_pytorch() {
    Level::available().into_iter().for_each(|level| check_training(&Cpu::new(level), &F32));
}

/// The kernels for GPUs, under two of the orders that a device may choose.
#[cfg(unix)]
fn emulators() -> impl Iterator<Item = Cuda> {
    [(0, Copies::Late), (1, Copies::Early)].into_iter().map(|(seed, copies)| {
        Cuda::new(Device::emulator(Schedule { seed, copies }).expect("an emulator"), Storage::F32)
    })
}

#[cfg(unix)]
#[test]
fn losses_and_gradients_of_the_emulated_gpu_are_those_of_pytorch() {
    emulators().for_each(|cuda| check_training(&cuda, &F32));
}

#[cfg(unix)]
#[test]
fn mixtures_and_their_architecture_parameters_on_the_emulated_gpu_are_those_of_pytorch() {
    emulators().for_each(|cuda| check_mixtures(cuda, &F32));
}

#[cfg(unix)]
#[test]
fn running_statistics_of_the_emulated_gpu_move_as_in_pytorch() {
    emulators().take(1).for_each(|cuda| check_running_statistics(cuda, &F32));
}

#[cfg(unix)]
#[test]
fn evaluations_of_the_emulated_gpu_are_those_of_pytorch() {
    emulators().take(1).for_each(|cuda| check_evaluation(cuda, &F32));
}

#[cfg(unix)]
#[test]
fn evaluating_all_children_in_one_graph_gives_the_bits_of_each_alone_on_the_emulated_gpu() {
    emulators().take(1).for_each(|cuda| check_merged_graphs(cuda, "sample:3"));
}

#[test]
fn mixtures_and_their_architecture_parameters_on_the_reference_are_those_of_pytorch() {
    check_mixtures(Reference, &F64);
}

#[test]
fn mixtures_and_their_architecture_parameters_on_the_cpu_are_those_of_pytorch() {
    Level::available().into_iter().for_each(|level| check_mixtures(Cpu::new(level), &F32));
}

#[test]
fn running_statistics_of_the_reference_move_as_in_pytorch() {
    check_running_statistics(Reference, &F64);
}

#[test]
fn running_statistics_of_the_cpu_move_as_in_pytorch() {
    Level::available().into_iter().for_each(|level| check_running_statistics(Cpu::new(level), &F32));
}

#[test]
fn evaluations_of_the_reference_are_those_of_pytorch() {
    check_evaluation(Reference, &F64);
}

#[test]
fn evaluations_of_the_cpu_are_those_of_pytorch() {
    Level::available().into_iter().for_each(|level| check_evaluation(Cpu::new(level), &F32));
}

#[test]
fn evaluating_all_children_in_one_graph_gives_the_bits_of_each_alone_on_the_reference() {
    check_merged_graphs(Reference, "every:64");
}

#[test]
fn evaluating_all_children_in_one_graph_gives_the_bits_of_each_alone_on_the_cpu() {
    Level::available().into_iter().for_each(|level| check_merged_graphs(Cpu::new(level), "every:64"));
}

fn on_the_gpu() -> Cuda {
    Cuda::new(gpu(), Storage::F32)
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_losses_and_gradients_are_those_of_pytorch() {
    check_training(&on_the_gpu(), &F32);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_mixtures_and_their_architecture_parameters_are_those_of_pytorch() {
    check_mixtures(on_the_gpu(), &F32);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_running_statistics_move_as_in_pytorch() {
    check_running_statistics(on_the_gpu(), &F32);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_evaluations_are_those_of_pytorch() {
    check_evaluation(on_the_gpu(), &F32);
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_evaluating_all_children_in_one_graph_gives_the_bits_of_each_alone() {
    check_merged_graphs(on_the_gpu(), "every:64");
}
