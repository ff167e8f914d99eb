//! The update against its formula, recomputed in f64 from the gradients: on the reference, and by the kernels for GPUs.

mod common;

use common::{mini_batch, model, zhang64};
#[cfg(unix)]
use crosstalk::backend::cuda::{Cuda, WavePlanner};
use crosstalk::backend::host::{Host, update};
use crosstalk::backend::reference::Reference;
use crosstalk::backend::{Architecture, Backend, Lane, LoadedBatch, Reduce, ReplicaStep};
#[cfg(unix)]
use crosstalk::device::{Device, emulator::Schedule};
use crosstalk::network::ParameterRef;
use crosstalk::network::{Model, Sharing, State};
#[cfg(unix)]
use crosstalk::ops::cuda::Storage;
use crosstalk::ops::sgd::{Sgd, Unsampled};
use crosstalk::plan::Choice;
use crosstalk::space::Child;
use crosstalk::tensor::{Real, Shape};
use std::collections::BTreeMap;
use std::sync::Arc;

const PLAIN: Sgd =
    Sgd { momentum: 0.0, weight_decay: 0.0, nesterov: false, clip_norm: None, unsampled: Unsampled::Skip };

/// Two children that share one candidate, in turns.
const CHILDREN: [[u8; 3]; 2] = [[0, 1, 2], [0, 3, 1]];

type Vectors = BTreeMap<ParameterRef, Vec<f64>>;

struct Trial<B: Backend> {
    model: Arc<Model>,
    backend: B,
    batches: Vec<LoadedBatch<B>>,
    /// How far a weight may be from the formula's.
    tolerance: f64,
}

fn reference() -> Trial<Host<Reference>> {
    Trial::new(Host::new(Reference), 1e-13)
}

/// Waves of `lanes` lanes.
#[cfg(unix)]
fn emulator(lanes: usize) -> Trial<Cuda> {
    let device = Device::emulator(Schedule::default()).expect("an emulator");
    Trial::new(Cuda::new(device, Storage::F32).with_planner(WavePlanner::fixed(lanes)), 2e-7)
}

impl<B: Backend> Trial<B> {
    fn new(backend: B, tolerance: f64) -> Self {
        let shape = Shape::new(5, 5, 1);
        let model = model(zhang64(shape, 4, 1, 3), Sharing::All);
        let load = |seed| {
            let (images, labels) = mini_batch(seed, 3, shape, 3);
            backend.load_numbers(images, labels).expect("a device that works")
        };
        Self { model, batches: (0..2).map(load).collect(), backend, tolerance }
    }

    fn replica(&self) -> B::Replica {
        self.backend.replica(&self.model, State::initial(&self.model, 3)).expect("a device that works")
    }

    fn state(&self, replica: &B::Replica) -> State<B::Real> {
        self.backend.state(&self.model, replica).expect("a device that works").into_owned()
    }

    fn gradients(&self, replica: &B::Replica, child: &Child, batch: usize) -> Vec<(ParameterRef, Vec<B::Real>)> {
        let (model, batch) = (&self.model, &self.batches[batch]);
        let plan = self.backend.training_plan(model, Choice::Child(child));
        let lane = Lane { model, replica, plan: &plan, batch, gates: None, weight_gradients: true };
        self.backend.gradients(&[lane]).expect("a device that works").remove(0).gradients(&plan)
    }

    fn parameters(&self) -> impl Iterator<Item = ParameterRef> {
        (0..self.model.network.parameters.len()).map(|parameter| ParameterRef { parameter, copy: 0 })
    }

    fn weights(&self, state: &State<B::Real>, reference: ParameterRef) -> Vec<f64> {
        state.weights.get(reference.parameter, 0).iter().map(|weight| weight.to_f64()).collect()
    }

    /// Takes four steps of `lanes`, and the same four by the formula; every weight must agree.
    fn agrees_with(&self, sgd: Sgd, reduce: Reduce, lanes: &dyn Fn(usize) -> Vec<(Child, usize)>) {
        let rate = 0.1;
        let mut replica = self.replica();
        let mut momenta = Vectors::new();
        for step in 0..4 {
            let lanes = lanes(step);
            let before = self.state(&replica);
            let mut gradients = Vectors::new();
            for (child, batch) in &lanes {
                for (reference, gradient) in self.gradients(&replica, child, *batch) {
                    let sum = gradients.entry(reference).or_insert_with(|| vec![0.0; gradient.len()]);
                    sum.iter_mut().zip(&gradient).for_each(|(sum, g)| *sum += g.to_f64());
                }
            }
            let share = if reduce == Reduce::Mean { 1.0 / lanes.len() as f64 } else { 1.0 };
            gradients.values_mut().flatten().for_each(|g| *g *= share);
            if let Some(limit) = sgd.clip_norm {
                let norm = gradients.values().flatten().map(|g| g * g).sum::<f64>().sqrt();
                assert!(norm > limit, "the gradient is too small to be clipped: {norm}");
                gradients.values_mut().flatten().for_each(|g| *g *= limit / (norm + 1e-6));
            }
            let trained = self.backend.step(&mut [ReplicaStep {
                model: &self.model,
                replica: &mut replica,
                lanes: lanes
                    .iter()
                    .map(|(child, batch)| (Architecture::Child(child.clone()), &self.batches[*batch]))
                    .collect(),
                reduce,
                sgd,
                learning_rate: rate,
            }]);
            let trained = trained.expect("a device that works");
            assert_eq!(trained[0].len(), lanes.len());
            let state = self.state(&replica);
            for reference in self.parameters().filter(|r| self.is_trained(*r)) {
                let mut expected = self.weights(&before, reference);
                let gradient = gradients.get(&reference).cloned();
                let moves =
                    gradient.is_some() || (sgd.unsampled == Unsampled::Decay && momenta.contains_key(&reference));
                if moves {
                    let first = !momenta.contains_key(&reference);
                    let momentum = momenta.entry(reference).or_insert_with(|| vec![0.0; expected.len()]);
                    for (index, (w, m)) in expected.iter_mut().zip(momentum).enumerate() {
                        let g = gradient.as_ref().map_or(0.0, |g| g[index]) + sgd.weight_decay * *w;
                        *m = if first { g } else { sgd.momentum * *m + g };
                        *w -= rate * if sgd.nesterov { g + sgd.momentum * *m } else { *m };
                    }
                }
                let found = self.weights(&state, reference);
                let name = &self.model.network.parameters[reference.parameter].name;
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((found - expected).abs() <= self.tolerance, "step {step}, {name}: {found}, not {expected}");
                }
                let moved = found != self.weights(&before, reference);
                assert_eq!(moved, moves && expected != self.weights(&before, reference), "step {step}, {name}");
            }
        }
    }

    fn is_trained(&self, reference: ParameterRef) -> bool {
        let name = &self.model.network.parameters[reference.parameter].name;
        !name.contains("running_")
    }
}

fn in_turns(step: usize) -> Vec<(Child, usize)> {
    vec![(Child(CHILDREN[step % 2].to_vec()), step % 2)]
}

fn both(step: usize) -> Vec<(Child, usize)> {
    (0..2).map(|lane| (Child(CHILDREN[lane].to_vec()), (step + lane) % 2)).collect()
}

#[test]
fn plain_descent_follows_the_gradient() {
    reference().agrees_with(PLAIN, Reduce::Mean, &in_turns);
}

/// On the device gradients of lanes are added, clipped and used where they are, however the lanes are spread over waves.
#[cfg(unix)]
#[test]
fn the_kernels_update_follows_the_formula() {
    let sgd = Sgd { momentum: 0.9, weight_decay: 0.01, unsampled: Unsampled::Decay, ..PLAIN };
    for lanes in [1, 2] {
        emulator(lanes).agrees_with(Sgd { nesterov: true, ..sgd }, Reduce::Mean, &both);
        emulator(lanes).agrees_with(Sgd { clip_norm: Some(0.01), ..sgd }, Reduce::Sum, &both);
        emulator(lanes).agrees_with(Sgd { clip_norm: Some(0.01), ..sgd }, Reduce::Mean, &in_turns);
    }
}

#[test]
fn momentum_and_weight_decay_are_those_of_pytorch() {
    let sgd = Sgd { momentum: 0.9, weight_decay: 0.01, ..PLAIN };
    reference().agrees_with(sgd, Reduce::Mean, &in_turns);
}

#[test]
fn nesterov_looks_ahead() {
    let sgd = Sgd { momentum: 0.9, weight_decay: 0.01, nesterov: true, ..PLAIN };
    reference().agrees_with(sgd, Reduce::Mean, &in_turns);
}

#[test]
fn clipping_scales_all_gradients_together_before_weight_decay() {
    let sgd = Sgd { momentum: 0.9, weight_decay: 0.1, clip_norm: Some(0.01), ..PLAIN };
    reference().agrees_with(sgd, Reduce::Mean, &both);
    reference().agrees_with(Sgd { nesterov: true, ..sgd }, Reduce::Sum, &both);
}

#[test]
fn unsampled_parameters_that_have_started_decay() {
    let sgd = Sgd { momentum: 0.9, weight_decay: 0.01, unsampled: Unsampled::Decay, ..PLAIN };
    reference().agrees_with(sgd, Reduce::Mean, &in_turns);
    reference().agrees_with(Sgd { nesterov: true, clip_norm: Some(0.01), ..sgd }, Reduce::Mean, &in_turns);
}

#[test]
fn lanes_are_averaged_or_added() {
    let sgd = Sgd { momentum: 0.9, weight_decay: 0.01, ..PLAIN };
    reference().agrees_with(sgd, Reduce::Mean, &both);
    reference().agrees_with(sgd, Reduce::Sum, &both);
}

#[test]
fn a_gradient_below_the_limit_is_not_clipped() {
    let trial = reference();
    let step = |clip_norm| {
        let mut state = trial.replica();
        let gradients = trial.gradients(&state, &Child(CHILDREN[0].to_vec()), 0);
        update(&Sgd { clip_norm, ..PLAIN }, &trial.model, &mut state, gradients, 0.1);
        state.hash(&trial.model)
    };
    assert_eq!(step(Some(1e6)), step(None));
    assert_ne!(step(Some(1e-3)), step(None));
}
