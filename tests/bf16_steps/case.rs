//! Tiny networks of the spaces with random weights, and a random mini-batch.

use crate::common::{self, noise};
use crosstalk::backend::{LanePlan, MiniBatch, TrainLane};
use crosstalk::network::{Model, Network, NetworkSize, Sharing, State};
use crosstalk::plan::{Gates, Graph};
use crosstalk::rng::{Purpose, Stream};
use crosstalk::space::Space;
use crosstalk::tensor::{Real, Shape};
use std::fmt;
use std::ops::Range;

pub struct Case {
    label: String,
    model: Model,
    plan: LanePlan,
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
        let model = Model::new(network, Sharing::All, &[]);
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

    pub fn on_a_device<T>(&self, run: impl FnOnce(TrainLane<'_, f32>) -> T) -> T {
        self.lane(&self.state, &self.images, run)
    }

    pub fn on_the_reference<T>(&self, run: impl FnOnce(TrainLane<'_, f64>) -> T) -> T {
        let images: Vec<f64> = self.images.iter().map(|pixel| f64::from(*pixel)).collect();
        self.lane(&self.state.cast(), &images, run)
    }

    fn lane<R: Real, T>(&self, state: &State<R>, images: &[R], run: impl FnOnce(TrainLane<'_, R>) -> T) -> T {
        run(TrainLane {
            network: &self.model.network,
            plan: &self.plan,
            batch: MiniBatch { images, labels: &self.labels },
            bank: &state.weights,
            gates: self.gates.as_ref(),
            weight_gradients: true,
        })
    }

    /// Where the gradients of the parameters lie.
    pub fn rows(&self) -> impl Iterator<Item = Range<usize>> {
        self.plan.parameters.iter().map(|reference| self.plan.row_range(*reference))
    }
}
