//! Tiny networks of the spaces with random weights, and a random mini-batch.

use crate::common::{self, noise};
use crosstalk::backend::reference::{self, numbers::Numbers};
use crosstalk::backend::{Backend, Lane, LanePlan, MiniBatch, TrainLane, TrainResult};
use crosstalk::network::{Model, Network, NetworkSize, Sharing, State};
use crosstalk::plan::{Gates, Graph};
use crosstalk::rng::{Purpose, Stream};
use crosstalk::space::Space;
use crosstalk::tensor::Shape;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub struct Case {
    label: String,
    pub model: Arc<Model>,
    pub plan: LanePlan,
    state: State<f32>,
    images: Vec<f32>,
    labels: Vec<u8>,
    gates: Option<Gates>,
}

/// A network of a space, and a mini-batch.
pub struct Size {
    pub space: &'static str,
    pub input: Shape,
    pub channels: usize,
    pub cells: usize,
    pub images: usize,
}

/// What one lane computes.
#[derive(Clone, Copy, Debug)]
pub enum Choice {
    /// Drawn.
    Child,
    Mixture,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.label)
    }
}

impl Case {
    pub fn new(size: &Size, choice: Choice, seed: u64) -> Self {
        let Size { space, input, channels, cells, images } = *size;
        let label = format!("{choice:?} {seed} of {space}").to_lowercase();
        let space = Space::built_in(space).expect("a built-in space");
        let network = Network::build(&space, NetworkSize { input, channels, cells, classes: 5 }).expect("a valid size");
        let model = Arc::new(Model::new(network, Sharing::All, &[]));
        let mut stream = Stream::new(seed, Purpose::Children, 0, 2);
        let (graph, gates) = match choice {
            Choice::Child => (Graph::of_children(&model, &[space.sample(&mut |n| stream.bounded(n))]), None),
            Choice::Mixture => {
                let edges = space.choice_candidates();
                let mut gate = |_: &String| 0.1 + 0.8 * stream.uniform_f64();
                let gates = edges.iter().map(|candidates| candidates.iter().map(&mut gate).collect()).collect();
                (Graph::of_mixture(&model), Some(Gates(gates)))
            }
        };
        let plan = LanePlan::training(&model.network, graph);
        let (images, labels) = common::mini_batch(seed, images, input, 5);
        let mut state = State::initial(&model, seed);
        // Scales of 1 and shifts of 0 would hide mistakes.
        for (parameter, seed) in (0..model.network.parameters.len()).zip(1000..) {
            let positions = model.network.parameters[parameter].layout.bank_positions();
            let noise: Vec<f32> = noise(seed, positions.len());
            let start = model.layout.range(parameter, 0).start;
            positions.iter().zip(noise).for_each(|(at, noise)| state.weights.values[start + at] += 0.2 * noise);
        }
        Self { label, model, plan, state, images, labels, gates }
    }

    /// Runs it on a backend.
    pub fn train<B: Backend<Real = f32>>(&self, backend: &B) -> TrainResult<f32> {
        let working = "a device that works";
        let batch = backend.load_numbers(self.images.clone(), self.labels.clone()).expect(working);
        let replica = backend.replica(&self.model, self.state.clone()).expect(working);
        let (model, plan, gates) = (&self.model, &self.plan, self.gates.as_ref());
        let lane = Lane { model, replica: &replica, plan, batch: &batch, gates, weight_gradients: true };
        backend.gradients(&[lane]).expect(working).remove(0)
    }

    /// Runs it on the reference, on some numbers.
    pub fn train_on<N: Numbers>(&self, numbers: &mut N) -> TrainResult<f64> {
        let images: Vec<f64> = self.images.iter().map(|pixel| f64::from(*pixel)).collect();
        let lane = TrainLane {
            network: &self.model.network,
            plan: &self.plan,
            batch: MiniBatch { images: &images, labels: &self.labels },
            bank: &self.state.cast().weights,
            gates: self.gates.as_ref(),
            weight_gradients: true,
        };
        reference::train(numbers, &lane)
    }

    /// Where the gradients of the parameters lie.
    pub fn rows(&self) -> impl Iterator<Item = Range<usize>> {
        self.plan.parameters.iter().map(|reference| self.plan.row_range(*reference))
    }
}
