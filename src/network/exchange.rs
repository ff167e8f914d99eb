//! Weights and momentum as named tensors, under the names of the official PyTorch code.
//!
//! A private copy is called `NAME@CHILD`. Momentum is `momentum/NAME`, and stands only for copies that have had a gradient.

use super::{Model, ParameterId, Role, State};
use crate::network::ParameterRef;
use crate::space::Space;
use crate::tensor::Real;
use crate::tensors::{Tensor, Values};
use std::collections::BTreeMap;

#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    #[error(
        "{missing} of {expected} tensors are missing, first `{name}`; these weights belong to another space, size or sharing policy"
    )]
    Missing { missing: usize, expected: usize, name: String },
    #[error(
        "`{name}` has the shape {found:?}, but this network needs {expected:?}; check [network] channels, cells and classes"
    )]
    Shape { name: String, found: Vec<usize>, expected: Vec<usize> },
    #[error(
        "{count} tensors are not of this network, first `{name}`; these weights belong to another space, size or sharing policy"
    )]
    Unexpected { count: usize, name: String },
    #[error("`{name}` holds {values} numbers, but {expected} were expected; the file is damaged")]
    Count { name: String, values: usize, expected: usize },
}

/// Named tensors in the order of their names.
pub type Tensors = BTreeMap<String, Tensor>;

/// What the names of momentum begin with.
pub const MOMENTUM: &str = "momentum/";

/// What the names of architecture parameters begin with in official files; those of Adam's memory of them do too.
const ALPHAS: [&str; 2] = ["alpha", "arch_parameters"];

/// Whether a tensor of this name belongs to the architecture parameters: it says nothing about sampled children, and weights do without.
pub fn is_alpha(space: &Space, name: &str) -> bool {
    ALPHAS.iter().any(|prefix| name.starts_with(prefix))
        || space.alpha_tensors().iter().any(|tensor| tensor.name == name)
}

/// Name of every copy of every parameter.
fn copies(model: &Model) -> impl Iterator<Item = (ParameterRef, String)> {
    (0..model.network.parameters.len()).flat_map(move |parameter| {
        (0..model.copies.count(parameter)).map(move |copy| {
            let name = model.network.parameters[parameter].name.clone();
            (ParameterRef { parameter, copy }, with_owner(model, parameter, copy, name))
        })
    })
}

fn with_owner(model: &Model, parameter: ParameterId, copy: u32, name: String) -> String {
    match model.copies.owner(parameter, copy) {
        None => name,
        Some(child) => format!("{name}@{}", model.network.space.format_child(child)),
    }
}

fn tensor<T: Real>(model: &Model, parameter: ParameterId, bank: &[T]) -> Tensor {
    let layout = &model.network.parameters[parameter].layout;
    let values = layout.bank_positions().into_iter().map(|position| bank[position].to_f64());
    let values = match T::BITS {
        32 => Values::F32(values.map(|value| value as f32).collect()),
        _ => Values::F64(values.collect()),
    };
    Tensor { shape: layout.shape(), values }
}

/// `num_batches_tracked` of the normalization whose running mean this is.
fn count_name(running_mean: &str) -> String {
    running_mean.replace("running_mean", "num_batches_tracked")
}

/// Weights and buffers.
pub fn export_parameters<T: Real>(model: &Model, state: &State<T>) -> Tensors {
    let mut tensors = Tensors::new();
    for (reference, name) in copies(model) {
        if model.network.parameters[reference.parameter].role == Role::RunningMean {
            let count = state.batches_tracked[model.layout.number(reference)];
            tensors.insert(count_name(&name), Tensor { shape: Vec::new(), values: Values::I64(vec![count as i64]) });
        }
        tensors
            .insert(name, tensor(model, reference.parameter, state.weights.get(reference.parameter, reference.copy)));
    }
    tensors
}

/// Momentum of every copy that has had a gradient.
pub fn export_momentum<T: Real>(model: &Model, state: &State<T>) -> Tensors {
    copies(model)
        .filter(|(reference, _)| state.started[model.layout.number(*reference)])
        .map(|(reference, name)| {
            let momentum = state.momentum.get(reference.parameter, reference.copy);
            (format!("{MOMENTUM}{name}"), tensor(model, reference.parameter, momentum))
        })
        .collect()
}

/// Gradients of one child, which uses one copy of each parameter: under the parameters' names, without the child's.
pub fn export_gradients<T: Real>(model: &Model, gradients: &[(ParameterRef, Vec<T>)]) -> Tensors {
    let named = |(reference, values): &(ParameterRef, Vec<T>)| {
        let name = model.network.parameters[reference.parameter].name.clone();
        (name, tensor(model, reference.parameter, values))
    };
    gradients.iter().map(named).collect()
}

/// Reads weights and buffers, and momentum where there is any. A private copy that the file lacks takes the shared tensor.
///
/// # Errors
/// A missing or unexpected tensor, or one of another shape; `state` is then partly changed and must not be used.
pub fn import_parameters<T: Real>(model: &Model, tensors: &Tensors, state: &mut State<T>) -> Result<(), ExchangeError> {
    let mut known = std::collections::BTreeSet::new();
    let mut missing = Vec::new();
    let mut expected = 0;
    for (reference, name) in copies(model) {
        expected += 1;
        let shared = &model.network.parameters[reference.parameter].name;
        let found = [&name, shared].into_iter().find(|name| tensors.contains_key(*name));
        let Some(source) = found else {
            missing.push(name);
            continue;
        };
        known.insert(source.clone());
        let number = model.layout.number(reference);
        let bank = state.weights.get_mut(reference.parameter, reference.copy);
        read(model, reference.parameter, source, &tensors[source], bank)?;
        if model.network.parameters[reference.parameter].role == Role::RunningMean {
            let counter = count_name(source);
            if let Some(count) = tensors.get(&counter) {
                // PyTorch before 1.0 wrote no count.
                state.batches_tracked[number] = count.values.iter_f64().next().unwrap_or(0.0) as u64;
                known.insert(counter);
            }
        }
        let momentum = format!("{MOMENTUM}{name}");
        if let Some(tensor) = tensors.get(&momentum) {
            let bank = state.momentum.get_mut(reference.parameter, reference.copy);
            read(model, reference.parameter, &momentum, tensor, bank)?;
            state.started[number] = true;
            known.insert(momentum);
        }
    }
    if let Some(name) = missing.first() {
        return Err(ExchangeError::Missing { missing: missing.len(), expected, name: name.clone() });
    }
    let space = &model.network.space;
    let unexpected = tensors.keys().filter(|name| !known.contains(*name) && !is_alpha(space, name));
    match unexpected.clone().next() {
        Some(name) => Err(ExchangeError::Unexpected { count: unexpected.count(), name: name.clone() }),
        None => Ok(()),
    }
}

fn read<T: Real>(
    model: &Model,
    parameter: ParameterId,
    name: &str,
    tensor: &Tensor,
    bank: &mut [T],
) -> Result<(), ExchangeError> {
    let layout = &model.network.parameters[parameter].layout;
    let (found, expected) = (tensor.shape.clone(), layout.shape());
    if found != expected {
        return Err(ExchangeError::Shape { name: name.to_owned(), found, expected });
    }
    if tensor.values.len() != layout.len() {
        let (values, expected) = (tensor.values.len(), layout.len());
        return Err(ExchangeError::Count { name: name.to_owned(), values, expected });
    }
    for (position, value) in layout.bank_positions().into_iter().zip(tensor.values.iter_f64()) {
        bank[position] = T::from_f64(value);
    }
    Ok(())
}
