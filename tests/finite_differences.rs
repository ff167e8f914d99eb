//! The reference's gradients against central differences of its own loss.

mod common;

use crosstalk::backend::reference::Reference;
use crosstalk::backend::{Executor, LanePlan, MiniBatch, TrainLane, TrainResult};
use crosstalk::network::{Model, Sharing, State};
use crosstalk::plan::{Gates, Graph};
use crosstalk::tensor::Shape;
use std::sync::Arc;

const STEP: f64 = 1e-6;
const TOLERANCE: f64 = 1e-6;

struct Case {
    model: Arc<Model>,
    plan: LanePlan,
    state: State<f64>,
    gates: Option<Gates>,
    images: Vec<f64>,
    labels: Vec<u8>,
}

impl Case {
    fn new(seed: u64, graph: impl Fn(&Model) -> Graph, gates: Option<Gates>) -> Self {
        let shape = Shape::new(5, 6, 2);
        let model = common::model(common::zhang64(shape, 3, 2, 4), Sharing::All);
        let plan = LanePlan::training(&model.network, graph(&model));
        let (images, labels) = common::mini_batch(seed, 5, shape, 4);
        let mut state = State::initial(&model, seed);
        // Scales of 1 and shifts of 0 would hide mistakes in their gradients.
        let noise: Vec<f64> = common::noise(seed + 1, state.weights.values.len());
        state.weights.values.iter_mut().zip(noise).filter(|(w, _)| **w != 0.0).for_each(|(w, n)| *w += 0.3 * n);
        Self { model, plan, state, gates, images, labels }
    }

    fn run(&self) -> TrainResult<f64> {
        let batch = MiniBatch { images: &self.images, labels: &self.labels };
        let (network, bank, gates) = (&self.model.network, &self.state.weights, self.gates.as_ref());
        Reference.train(&[TrainLane { network, plan: &self.plan, batch, bank, gates }]).remove(0)
    }

    /// Checks the gradient of every parameter along one random direction, and of every gate.
    fn check(&mut self) {
        let result = self.run();
        let scale = result.row.iter().map(|g| g * g).sum::<f64>().sqrt();
        for (number, reference) in self.plan.parameters.clone().into_iter().enumerate() {
            let parameter = self.model.network.parameters[reference.parameter].clone();
            let positions = parameter.layout.bank_positions();
            let direction: Vec<f64> = common::noise(900 + number as u64, positions.len());
            let row = &result.row[self.plan.row_range(reference)];
            let expected: f64 = positions.iter().zip(&direction).map(|(p, d)| row[*p] * d).sum();
            let mut loss_at = |distance: f64| {
                let weights = self.state.weights.get_mut(reference.parameter, reference.copy);
                positions.iter().zip(&direction).for_each(|(p, d)| weights[*p] += distance * d);
                let loss = self.run().loss;
                let weights = self.state.weights.get_mut(reference.parameter, reference.copy);
                positions.iter().zip(&direction).for_each(|(p, d)| weights[*p] -= distance * d);
                loss
            };
            let measured = (loss_at(STEP) - loss_at(-STEP)) / (2.0 * STEP);
            let error = (measured - expected).abs();
            assert!(
                error <= TOLERANCE * scale.max(1.0),
                "{}: {measured} measured, {expected} computed",
                parameter.name
            );
            assert!(direction.len() < 3 || expected != 0.0, "{}: no gradient at all", parameter.name);
        }
        for (slot, edge) in result.gates.iter().enumerate() {
            for (candidate, expected) in edge.iter().enumerate() {
                let mut loss_at = |distance: f64| {
                    let shift = |gates: &mut Option<Gates>, by: f64| {
                        gates.as_mut().expect("a mixture").0[slot][candidate] += by;
                    };
                    shift(&mut self.gates, distance);
                    let loss = self.run().loss;
                    shift(&mut self.gates, -distance);
                    loss
                };
                let measured = (loss_at(STEP) - loss_at(-STEP)) / (2.0 * STEP);
                assert!((measured - expected).abs() <= TOLERANCE, "gate {slot}/{candidate}: {measured}, {expected}");
                assert!(*expected != 0.0);
            }
        }
    }
}

#[test]
fn gradients_of_random_children_are_the_slopes_of_the_loss() {
    for (seed, child) in [(1, 0), (2, 27), (3, 38), (4, 57), (5, 63)] {
        Case::new(seed, |model| model.graph(&[model.network.space.child_at(child)]), None).check();
    }
}

#[test]
fn gradients_of_a_mixture_and_of_its_gates_are_the_slopes_of_the_loss() {
    for seed in [6, 7] {
        let noise: Vec<f64> = common::noise(seed, 12);
        let gates = Gates(noise.chunks(4).map(|edge| edge.iter().map(|g| 0.3 + 0.2 * g).collect()).collect());
        Case::new(seed, Model::mixture, Some(gates)).check();
    }
}
