//! The reference's gradients against central differences of its own loss: of every parameter tensor of random children and mixtures (of
//! the mixture of darts, which has hundreds of tensors, of one in seventeen), and of every gate.
//!
//! The error of a tensor is that of docs/numerics.md, `||measured - computed|| / max(||computed||, 1e-6 ||all||)`, over slopes along
//! random directions. A slope along a direction that crosses a kink of a ReLU or of a max pool says nothing of the gradient; whether it
//! does is told from losses alone (`Slope`), and a tensor for which too few directions are smooth fails.

mod common;

use crosstalk::backend::reference::Reference;
use crosstalk::backend::{Executor, LanePlan, MiniBatch, Regime, TrainLane, TrainResult};
use crosstalk::network::{Model, Network, NetworkSize, Sharing, State};
use crosstalk::plan::{Gates, Graph};
use crosstalk::rng::{Purpose, Stream};
use crosstalk::space::Space;
use crosstalk::tensor::Shape;
use std::sync::Arc;

const TOLERANCE: f64 = 1e-6;

/// Distances to go along a direction of length 1, the first that is smooth: far ones round less.
const DISTANCES: [f64; 5] = [1e-3, 2.5e-4, 6e-5, 1.5e-5, 4e-6];

/// Smooth directions of every tensor, and as many as are drawn at most to find them.
const DIRECTIONS: usize = 2;
const MOST_DRAWN: usize = 16;

/// The derivative of a loss at distance 0, and how far a kink may have moved it.
struct Slope {
    slope: f64,
    bend: f64,
}

impl Slope {
    /// Central differences of fourth order from distances `h` and `2h`; `here` is `loss(0)`. A smooth loss has `even(2h) = 4 even(h)` but for terms of
    /// fourth order, where `even(h) = loss(h) - 2 loss(0) + loss(-h)`; a kink breaks this for `h` or for `h / 2`.
    fn at(loss: &mut dyn FnMut(f64) -> f64, here: f64, h: f64) -> Self {
        let pairs = [0.5 * h, h, 2.0 * h].map(|distance| (loss(distance), loss(-distance)));
        let [_, odd, odd_far] = pairs.map(|(ahead, behind)| ahead - behind);
        let even = pairs.map(|(ahead, behind)| ahead - here + (behind - here));
        let bends = [(even[1] - 4.0 * even[0]) / (6.0 * h), (even[2] - 4.0 * even[1]) / (12.0 * h)];
        Self { slope: (8.0 * odd - odd_far) / (12.0 * h), bend: bends[0].abs().max(bends[1].abs()) }
    }

    /// From the first distance at which the loss bends by at most `most`; `None` where there is none.
    fn smooth(loss: &mut dyn FnMut(f64) -> f64, here: f64, most: f64) -> Option<f64> {
        DISTANCES.into_iter().map(|h| Self::at(loss, here, h)).find(|found| found.bend <= most).map(|found| found.slope)
    }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// The loss before anything is moved, and the length of the whole gradient.
struct Scale {
    here: f64,
    all: f64,
}

struct Case {
    model: Arc<Model>,
    plan: LanePlan,
    state: State<f64>,
    gates: Option<Gates>,
    images: Vec<f64>,
    labels: Vec<u8>,
    stream: Stream,
}

impl Case {
    /// A network with random weights, a random mini-batch, and the graph that is drawn for it.
    fn new(
        space: &str,
        cells: usize,
        seed: u32,
        graph: impl Fn(&Model, &mut Stream) -> (Graph, Option<Gates>),
    ) -> Self {
        // The others halve the sides twice. Of darts, which has many more tensors, each is measured on less.
        let (height, width) = if space == "zhang64" { (5, 6) } else { (4, 8) };
        let (channels, images) = if space == "darts" { (2, 3) } else { (3, 5) };
        let input = Shape::new(height, width, 2);
        let space = Space::built_in(space).expect("a built-in space");
        let size = NetworkSize { input, channels, cells, classes: 4 };
        let network = Network::build(&space, size).expect("a valid size");
        let model = Arc::new(Model::new(network, Sharing::All, &[]));
        let mut stream = Stream::new(u64::from(seed), Purpose::Children, 0, 2);
        let (graph, gates) = graph(&model, &mut stream);
        let plan = LanePlan::training(&model.network, graph);
        let (images, labels) = common::mini_batch(u64::from(seed), images, input, 4);
        let mut state = State::initial(&model, u64::from(seed));
        // Scales of 1 and shifts of 0 would hide mistakes in their gradients.
        let noise: Vec<f64> = common::noise(u64::from(seed) + 1000, state.weights.values.len());
        state.weights.values.iter_mut().zip(noise).filter(|(w, _)| **w != 0.0).for_each(|(w, n)| *w += 0.3 * n);
        Self { model, plan, state, gates, images, labels, stream }
    }

    fn batch(&self) -> MiniBatch<'_, f64> {
        MiniBatch { images: &self.images, labels: &self.labels }
    }

    fn run(&self) -> TrainResult<f64> {
        let (network, bank, gates) = (&self.model.network, &self.state.weights, self.gates.as_ref());
        let lane = TrainLane { network, plan: &self.plan, batch: self.batch(), bank, gates, weight_gradients: true };
        Reference.train(&[lane]).expect("a device that works").remove(0)
    }

    /// The loss of [`Case::run`]; of a child without a backward pass.
    fn loss(&self) -> f64 {
        if self.gates.is_some() {
            return self.run().loss;
        }
        let (network, bank) = (&self.model.network, &self.state.weights);
        let evaluated = Reference.evaluate(network, &self.plan, self.batch(), bank, Regime::Batch);
        evaluated.expect("a device that works").heads[0].loss_sum / self.labels.len() as f64
    }

    /// Uniform numbers scaled to length 1.
    fn direction(&mut self, len: usize) -> Vec<f64> {
        let direction: Vec<f64> = (0..len).map(|_| 2.0 * self.stream.uniform_f64() - 1.0).collect();
        let length = norm(&direction);
        direction.into_iter().map(|value| value / length).collect()
    }

    /// Checks the gradient of one parameter in so many, and of every edge's gates. Returns the worst error.
    fn check(mut self, label: &str, one_in: usize) -> f64 {
        let result = self.run();
        let scale = Scale { here: self.loss(), all: norm(&result.row) };
        assert_eq!(scale.here, result.loss, "{label}");
        let mut worst = 0.0_f64;
        for reference in self.plan.parameters.clone().into_iter().step_by(one_in) {
            let parameter = self.model.network.parameters[reference.parameter].clone();
            let positions = parameter.layout.bank_positions();
            let row = &result.row[self.plan.row_range(reference)];
            let gradient: Vec<f64> = positions.iter().map(|position| row[*position]).collect();
            let at = |case: &mut Self, direction: &[f64], distance: f64| {
                let before = case.state.weights.get(reference.parameter, reference.copy).to_vec();
                let weights = case.state.weights.get_mut(reference.parameter, reference.copy);
                positions.iter().zip(direction).for_each(|(position, part)| weights[*position] += distance * part);
                let loss = case.loss();
                case.state.weights.get_mut(reference.parameter, reference.copy).copy_from_slice(&before);
                loss
            };
            worst = worst.max(self.compare(&format!("{label}, {}", parameter.name), &gradient, &scale, at));
        }
        for (slot, gradient) in result.gates.iter().enumerate() {
            assert!(gradient.iter().any(|value| *value != 0.0), "{label}: edge {slot} has gates without gradient");
            let at = |case: &mut Self, direction: &[f64], distance: f64| {
                let before = case.gates.clone();
                let gates = &mut case.gates.as_mut().expect("a mixture").0[slot];
                gates.iter_mut().zip(direction).for_each(|(gate, part)| *gate += distance * part);
                let loss = case.loss();
                case.gates = before;
                loss
            };
            worst = worst.max(self.compare(&format!("{label}, gates of edge {slot}"), gradient, &scale, at));
        }
        worst
    }

    /// The error of one tensor's gradient, which must be within the tolerance. `at` gives the loss at a distance along a direction.
    fn compare(
        &mut self,
        label: &str,
        gradient: &[f64],
        scale: &Scale,
        at: impl Fn(&mut Self, &[f64], f64) -> f64,
    ) -> f64 {
        if gradient.iter().all(|value| *value == 0.0) {
            // Nothing may depend on it, to the last bit.
            let direction = self.direction(gradient.len());
            assert_eq!(
                at(self, &direction, 0.1),
                scale.here,
                "{label}: the loss depends on it, but its gradient is zero"
            );
            return 0.0;
        }
        // What slopes along directions of length 1 are on average.
        let usual = norm(gradient) / (gradient.len() as f64).sqrt();
        let (mut measured, mut computed) = (Vec::new(), Vec::new());
        for _ in 0..MOST_DRAWN {
            let direction = self.direction(gradient.len());
            let mut loss = |distance| at(self, &direction, distance);
            let smooth = Slope::smooth(&mut loss, scale.here, 0.25 * TOLERANCE * usual);
            if let Some(slope) = smooth {
                measured.push(slope);
                computed.push(gradient.iter().zip(&direction).map(|(g, d)| g * d).sum::<f64>());
            }
            if measured.len() == DIRECTIONS {
                break;
            }
        }
        assert_eq!(measured.len(), DIRECTIONS, "{label}: too few smooth directions, usual slope {usual:e}");
        let difference: Vec<f64> = measured.iter().zip(&computed).map(|(m, c)| m - c).collect();
        let error = norm(&difference) / norm(&computed).max(1e-6 * scale.all);
        assert!(error <= TOLERANCE, "{label}: error {error:e}, measured {measured:?}, computed {computed:?}");
        error
    }
}

/// A child drawn uniformly.
fn random_child(model: &Model, stream: &mut Stream) -> (Graph, Option<Gates>) {
    let child = model.network.space.sample(&mut |bound| stream.bounded(bound));
    (Graph::of_children(model, &[child]), None)
}

/// All candidates with gates between -1 and 1.
fn random_mixture(model: &Model, stream: &mut Stream) -> (Graph, Option<Gates>) {
    let mut edge = |candidates: &usize| (0..*candidates).map(|_| 2.0 * stream.uniform_f64() - 1.0).collect();
    (Graph::of_mixture(model), Some(Gates(model.network.space.choices().iter().map(&mut edge).collect())))
}

fn check_all(space: &str, cells: usize, seeds: u32, graph: fn(&Model, &mut Stream) -> (Graph, Option<Gates>)) {
    let case = |seed| Case::new(space, cells, seed, graph);
    let worst = (0..seeds).map(|seed| case(seed).check(&format!("{space}, seed {seed}"), 1));
    println!("{space}: worst error {:e}", worst.fold(0.0, f64::max));
}

#[test]
fn gradients_of_random_children_are_the_slopes_of_the_loss() {
    check_all("zhang64", 2, 10, random_child);
}

#[test]
fn gradients_of_random_children_of_nasbench201_are_the_slopes_of_the_loss() {
    check_all("nasbench201", 1, 5, random_child);
}

#[test]
fn gradients_of_random_children_of_darts_are_the_slopes_of_the_loss() {
    check_all("darts", 3, 3, random_child);
}

#[test]
fn gradients_of_random_mixtures_and_of_their_gates_are_the_slopes_of_the_loss() {
    check_all("zhang64", 1, 3, random_mixture);
}

#[test]
fn gradients_of_a_random_mixture_of_nasbench201_and_of_its_gates_are_the_slopes_of_the_loss() {
    check_all("nasbench201", 1, 1, random_mixture);
}

#[test]
fn gradients_of_a_random_mixture_of_darts_and_of_its_gates_are_the_slopes_of_the_loss() {
    // Steps of seventeen meet every candidate's tensors, of which an edge has twelve or fourteen.
    let worst = Case::new("darts", 3, 0, random_mixture).check("darts", 17);
    println!("darts: worst error {worst:e}");
}

#[test]
fn kinks_are_told_from_smooth_losses() {
    let smooth = |x: f64| (1.0 + x).ln() + 0.3 * (5.0 * x).sin();
    let slope = Slope::smooth(&mut { smooth }, 0.0, 1e-7).expect("a smooth loss");
    assert!((slope - 2.5).abs() < 1e-9, "{slope}");
    // Kinks at many places, among them those that one of the two bends does not see.
    for place in (1..2000).map(|place| 1e-6 * f64::from(place)) {
        let kinked = Slope::at(&mut |x: f64| smooth(x) + 1e-3 * (x - place).max(0.0), 0.0, 1e-3);
        assert!(kinked.bend > 1e-7 || (kinked.slope - 2.5).abs() < 1e-6, "{place}: {} {}", kinked.slope, kinked.bend);
    }
}
