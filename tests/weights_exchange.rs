//! Weights in and out of files, under the names of the official PyTorch code.

mod common;

use crosstalk::backend::host::Host;
use crosstalk::backend::reference::Reference;
use crosstalk::backend::{Architecture, Backend, Reduce, ReplicaStep};
use crosstalk::network::{
    ExchangeError, Model, Sharing, State, Tensors, export_momentum, export_parameters, import_parameters,
};
use crosstalk::ops::sgd::{Sgd, Unsampled};
use crosstalk::space::Child;
use crosstalk::tensor::{Real, Shape};
use crosstalk::tensors::{Tensor, TensorFile, Values};
use std::sync::Arc;

const SHAPE: Shape = Shape::new(5, 4, 1);
const CLASSES: usize = 3;
const POLICIES: [Sharing; 3] = [Sharing::All, Sharing::None, Sharing::Prefix(1)];

fn model(sharing: Sharing) -> Arc<Model> {
    let network = common::zhang64(SHAPE, 3, 2, CLASSES);
    let children: Vec<Child> =
        ["111", "234", "243"].map(|name| network.space.parse_child(name).expect("a child")).into();
    Arc::new(Model::new(network, sharing, &children))
}

/// A state after two steps of some children: momentum, running statistics and counts are there, and not for all parameters.
fn trained(model: &Arc<Model>) -> State<f64> {
    let host = Host::new(Reference);
    let mut state = State::initial(model, 1);
    let (images, labels) = common::mini_batch(2, 4, SHAPE, CLASSES);
    let batch = host.load_numbers(images, labels).expect("a device that works");
    for name in ["111", "234"] {
        let child = model.network.space.parse_child(name).expect("a child");
        let lanes = vec![(Architecture::Child(child), &batch)];
        let sgd =
            Sgd { momentum: 0.9, weight_decay: 1e-3, nesterov: false, clip_norm: None, unsampled: Unsampled::Decay };
        let (replica, reduce) = (&mut state, Reduce::Mean);
        host.step(&mut [ReplicaStep { model, replica, lanes, reduce, sgd, learning_rate: 0.1 }])
            .expect("a device that works");
    }
    state
}

fn export<T: Real>(model: &Model, state: &State<T>) -> Tensors {
    let mut tensors = export_parameters(model, state);
    tensors.extend(export_momentum(model, state));
    tensors
}

fn through_a_file(tensors: Tensors) -> Tensors {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("weights.safetensors");
    TensorFile { tensors, ..TensorFile::default() }.write(&path).expect("a file written");
    TensorFile::read(&path).expect("a file read").tensors
}

fn import<T: Real>(model: &Model, tensors: &Tensors) -> Result<State<T>, ExchangeError> {
    let mut state = State::zeroed(model);
    import_parameters(model, tensors, &mut state)?;
    Ok(state)
}

/// The error of importing what `change` made of exported weights.
fn refusal(sharing: Sharing, change: impl FnOnce(&mut Tensors)) -> String {
    let model = model(sharing);
    let mut tensors = export(&model, &trained(&model));
    change(&mut tensors);
    match import::<f64>(&model, &tensors) {
        Ok(_) => panic!("these weights must be refused"),
        Err(error) => error.to_string(),
    }
}

fn ones(shape: &[usize]) -> Tensor {
    Tensor { shape: shape.to_vec(), values: Values::F64(vec![1.0; shape.iter().product()]) }
}

#[test]
fn a_state_comes_back_from_its_file_with_the_same_hash() {
    for sharing in POLICIES {
        let model = model(sharing);
        let state = trained(&model);
        assert!(state.started.iter().any(|started| *started) && state.started.iter().any(|started| !started));
        let back: State<f64> = import(&model, &through_a_file(export(&model, &state))).expect("its own weights");
        assert_eq!(back.hash(&model), state.hash(&model), "{sharing:?}, f64");
        assert_ne!(back.hash(&model), State::<f64>::initial(&model, 1).hash(&model));
        let state: State<f32> = state.cast();
        let back: State<f32> = import(&model, &through_a_file(export(&model, &state))).expect("its own weights");
        assert_eq!(back.hash(&model), state.hash(&model), "{sharing:?}, f32");
    }
}

#[test]
fn momentum_stands_only_for_parameters_that_had_a_gradient() {
    let model = model(Sharing::All);
    let momentum = export_momentum(&model, &trained(&model));
    assert!(momentum.contains_key("momentum/net.linear.weight"));
    assert!(momentum.contains_key("momentum/net.cells.0.dag.1.0._ops.2.net.0.net.1.weight"), "used by 234");
    assert!(!momentum.contains_key("momentum/net.cells.0.dag.1.0._ops.3.net.1.weight"), "used by none");
    assert!(!momentum.keys().any(|name| name.contains("running_")), "buffers have none");
}

#[test]
fn private_copies_carry_the_name_of_their_child() {
    let names = |sharing| export(&model(sharing), &trained(&model(sharing))).into_keys().collect::<Vec<String>>();
    let has = |names: &[String], name: &str| names.iter().any(|known| known == name);
    let none = names(Sharing::None);
    for name in ["net.stem.0.weight@111", "net.stem.0.weight@243", "net.linear.bias@234", "net.stem.1.running_mean@111"]
    {
        assert!(has(&none, name), "{name} is missing");
    }
    assert!(has(&none, "net.stem.1.num_batches_tracked@111"));
    assert!(has(&none, "momentum/net.stem.0.weight@234") && !has(&none, "momentum/net.stem.0.weight@243"));
    assert!(!has(&none, "net.stem.0.weight"));
    assert!(!has(&none, "net.cells.0.dag.0.0._ops.1.net.0.net.1.weight@111"), "111 does not use it");
    let prefix = names(Sharing::Prefix(1));
    for (name, private) in [
        ("net.stem.0.weight", false),
        ("net.cells.0.preproc.net.1.weight", false),
        ("net.cells.1.preproc.net.1.weight", true),
    ] {
        assert_eq!(has(&prefix, name), !private, "{name}");
        assert_eq!(has(&prefix, &format!("{name}@111")), private, "{name}");
    }
}

#[test]
fn private_copies_start_from_the_weights_of_a_shared_file() {
    let shared = model(Sharing::All);
    let tensors = export_parameters(&shared, &trained(&shared));
    let private = model(Sharing::None);
    let state: State<f64> = import(&private, &tensors).expect("weights for every copy");
    for (name, tensor) in export_parameters(&private, &state) {
        let shared_name = name.split('@').next().unwrap_or(&name);
        assert_eq!(&tensor, &tensors[shared_name], "{name}");
    }
}

#[test]
fn the_alphas_of_official_files_are_ignored() {
    let model = model(Sharing::All);
    let state = trained(&model);
    let mut tensors = export(&model, &state);
    for name in ["alpha_normal.0", "alpha_reduce.1", "arch_parameters"] {
        tensors.insert(name.into(), ones(&[2, 4]));
    }
    let back: State<f64> = import(&model, &through_a_file(tensors)).expect("its own weights");
    assert_eq!(back.hash(&model), state.hash(&model));
}

#[test]
fn missing_tensors_are_counted_and_the_first_is_named() {
    let message = refusal(Sharing::All, |tensors| {
        tensors.remove("net.linear.bias");
        tensors.remove("net.linear.weight");
    });
    assert!(message.starts_with("2 of ") && message.contains("first `net.linear.weight`"), "{message}");
    assert!(message.ends_with("belong to another space, size or sharing policy"), "{message}");
    let message = refusal(Sharing::None, |tensors| {
        tensors.remove("net.linear.bias@234");
    });
    assert!(message.starts_with("1 of ") && message.contains("`net.linear.bias@234`"), "{message}");
}

#[test]
fn unexpected_tensors_are_counted_and_the_first_is_named() {
    let message = refusal(Sharing::All, |tensors| {
        tensors.insert("net.cells.7.extra.weight".into(), ones(&[1]));
        tensors.insert("net.stem.0.weight@111".into(), ones(&[9, 1, 3, 3]));
    });
    assert!(message.starts_with("2 tensors are not of this network, first `net.cells.7.extra.weight`"), "{message}");
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both_shapes() {
    let message = refusal(Sharing::All, |tensors| {
        tensors.insert("net.linear.weight".into(), ones(&[10, 6]));
    });
    let sentence = "`net.linear.weight` has the shape [10, 6], but this network needs [3, 6]; \
                    check [network] channels, cells and classes";
    assert_eq!(message, sentence);
    let message = refusal(Sharing::All, |tensors| {
        tensors.insert("momentum/net.linear.bias".into(), ones(&[10]));
    });
    assert!(message.starts_with("`momentum/net.linear.bias` has the shape [10]"), "{message}");
}

#[test]
fn a_tensor_with_too_few_numbers_is_called_damaged() {
    let message = refusal(Sharing::All, |tensors| {
        tensors.insert("net.linear.bias".into(), Tensor { shape: vec![3], values: Values::F64(vec![1.0; 2]) });
    });
    assert_eq!(message, "`net.linear.bias` holds 2 numbers, but 3 were expected; the file is damaged");
}
