//! Losses, gradients and moved running statistics.

use crate::case::{Case, MIXTURES, NETWORKS};
use crate::common::goldens::{assert_close, tensor};
use crate::{Tolerances, assert_loss_is_close, correct, predictions};
use crosstalk::backend::{Architecture, Backend, GateStep, Lane, LanePlan, Reduce, ReplicaStep, TrainResult};
use crosstalk::network::{State, export_parameters};
use crosstalk::ops::sgd::{Sgd, Unsampled};
use crosstalk::plan::{Gates, Graph};
use crosstalk::search::{export_table, import_alphas};
use crosstalk::tensor::Real;
use crosstalk::tensors::{Tensor, Values};
use std::collections::BTreeMap;

/// Loss and gradient of every parameter that a child uses.
pub fn check_training<B: Backend>(backend: &B, tolerances: &Tolerances) {
    for name in NETWORKS {
        let case: Case<B::Real> = Case::read(name);
        for (child_name, child) in case.children() {
            let graph = Graph::of_children(&case.model, &[child]);
            check_lane(backend, tolerances, &case, &format!("{name}, child {child_name}"), &child_name, graph, None);
        }
    }
}

/// Loss and weight gradients of one lane against the golden numbers under `key`.
pub fn check_lane<B: Backend>(
    backend: &B,
    tolerances: &Tolerances,
    case: &Case<B::Real>,
    label: &str,
    key: &str,
    graph: Graph,
    gates: Option<&Gates>,
) -> TrainResult<B::Real> {
    let network = &case.model.network;
    let plan = LanePlan::training(network, graph);
    let (replica, batch) = (case.replica(backend), case.batch(backend));
    let (model, replica, batch) = (&case.model, &replica, &batch);
    let lane = Lane { model, replica, plan: &plan, batch, gates, weight_gradients: true };
    let result = backend.gradients(&[lane]).expect("a device that works").remove(0);
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
pub fn check_mixtures<B: Backend>(backend: &B, tolerances: &Tolerances) {
    for name in MIXTURES {
        let case: Case<B::Real> = Case::read(name);
        let (model, space) = (&case.model, &case.model.network.space);
        let alphas =
            import_alphas(space, &case.golden.under("alphas/"), false).expect("alphas that fit").expect("alphas");
        let gates = alphas.gates();
        let graph = Graph::of_mixture(model);
        let whole = check_lane(backend, tolerances, &case, name, "mixture", graph, Some(&gates));
        let (mut replica, batch) = (case.replica(backend), case.batch(backend));
        let step = GateStep { model, replica: &mut replica, gates: &gates, batch: &batch };
        let found = backend.gate_gradients(&mut [step]).expect("a device that works").remove(0);
        assert_eq!(found.gradients, whole.gates, "{name}: without the gradients of the weights");
        let loss = case.golden.number("loss/mixture");
        assert_loss_is_close(name, found.loss.loss, loss, tolerances.loss);
        let gradients = export_table(space, &alphas.gradients(&found.gradients));
        let expected = case.golden.under("alpha_grad/");
        let worst = assert_close(&format!("alphas of {name}"), gradients, expected, tolerances.gradient);
        println!("{name}: gradients of alphas {worst:.1e}");
        let state = backend.state(model, &replica).expect("a device that works");
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

/// Running statistics and counts that one step moves; every other tensor stays as it was.
pub fn check_running_statistics<B: Backend>(backend: &B, tolerances: &Tolerances) {
    for name in NETWORKS {
        let case: Case<B::Real> = Case::read(name);
        for (child_name, child) in case.children() {
            let (mut replica, batch) = (case.replica(backend), case.batch(backend));
            let lanes = vec![(Architecture::Child(child), &batch)];
            let sgd =
                Sgd { momentum: 0.0, weight_decay: 0.0, nesterov: false, clip_norm: None, unsampled: Unsampled::Skip };
            let (model, reduce) = (&case.model, Reduce::Mean);
            backend
                .step(&mut [ReplicaStep { model, replica: &mut replica, lanes, reduce, sgd, learning_rate: 0.0 }])
                .expect("a device that works");
            let state = backend.state(model, &replica).expect("a device that works");
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
