//! Kernels against the CPU's code: the same bits, on the emulator under every schedule and, where asked for, on a GPU.
#![cfg(unix)]

mod common;

use common::{gpu, model, noise, zhang64};
use crosstalk::backend::cuda::update::chunks;
use crosstalk::backend::host;
use crosstalk::data::cuda::ResidentPixels;
use crosstalk::data::{Augmentation, Dataset, PixelTable, Placement, Records, Rectangle, gather, image_length};
use crosstalk::device::emulator::{Copies, Schedule};
use crosstalk::device::{Argument, Device, Pointer};
use crosstalk::network::{Bank, Model, ParameterRef, Sharing, State};

use crosstalk::ops::cuda::reduction::{Parts, add_gate_parts, add_parts};
use crosstalk::ops::sgd::cuda::{SgdBanks, SgdSettings, update};
use crosstalk::ops::sgd::{Sgd, Unsampled};

use crosstalk::tensor::Shape;

fn emulators() -> Vec<Device> {
    let emulator = |seed| Device::emulator(Schedule { seed, copies: Copies::Late }).expect("an emulator");
    (0..3).map(emulator).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Parameters that a step uses: every third, and others every time.
fn used(model: &Model, step: usize) -> Vec<ParameterRef> {
    let all = (0..model.network.parameters.len()).filter(|parameter| (parameter + step).is_multiple_of(3));
    all.map(|parameter| ParameterRef { parameter, copy: 0 }).collect()
}

/// Random gradients for `used`, with their norm.
fn gradients(model: &Model, used: &[ParameterRef], seed: u64) -> (Vec<(ParameterRef, Vec<f32>)>, f64) {
    let one = |(number, &reference): (u64, &ParameterRef)| {
        (reference, noise::<f32>(seed * 1000 + number, model.layout.range(reference.parameter, 0).len()))
    };
    let gradients: Vec<_> = (0..).zip(used).map(one).collect();
    let squares = gradients.iter().flat_map(|(_, gradient)| gradient).map(|&g| f64::from(g) * f64::from(g));
    let norm = squares.sum::<f64>().sqrt();
    (gradients, norm)
}

/// Four steps of two replicas on the device and, one after the other, on the CPU.
fn updates_agree(devices: &[Device], sgd: Sgd) {
    let model = model(zhang64(Shape::new(8, 8, 3), 8, 1, 10), Sharing::All);
    let rate = |step: usize, replica: usize| 0.1 / (1 + step + replica) as f64;
    for device in devices {
        let mut states: Vec<State<f32>> = (0..2).map(|seed| State::initial(&model, seed)).collect();
        let both = |bank: &dyn Fn(&State<f32>) -> Vec<f32>, states: &[State<f32>]| -> Vec<f32> {
            states.iter().flat_map(bank).collect()
        };
        let weights = |state: &State<f32>| state.weights.values.to_vec();
        let momenta = |state: &State<f32>| state.momentum.values.to_vec();
        let mut started: Vec<Vec<bool>> = states.iter().map(|state| state.started.clone()).collect();
        let mut banks = SgdBanks {
            weights: device.upload("weights", &both(&weights, &states)).expect("memory"),
            momenta: device.upload("momenta", &both(&momenta, &states)).expect("memory"),
            gradients: device.allocate("gradients", 2 * model.layout.len()).expect("memory"),
        };
        for step in 0..4 {
            let (mut table, mut settings, mut uploaded) = (Vec::new(), Vec::new(), Vec::new());
            for (replica, state) in states.iter_mut().enumerate() {
                let used = used(&model, step + replica);
                let (given, norm) = gradients(&model, &used, (2 * step + replica) as u64);
                let mut bank = Bank::<f32>::zeroed(model.layout.clone());
                given.iter().for_each(|(reference, g)| bank.get_mut(reference.parameter, 0).copy_from_slice(g));
                uploaded.extend_from_slice(&bank.values);
                table.extend(chunks(&sgd, &model, &mut started[replica], &used, replica as u32));
                let scale = sgd.clip_factor(norm);
                settings.push(SgdSettings::new(&sgd, rate(step, replica), scale));
                host::update(&sgd, &model, state, given, rate(step, replica));
                assert_eq!(started[replica], state.started);
            }
            banks.gradients.upload(&uploaded).expect("memory");
            let table = device.upload("chunks", &table).expect("memory");
            let settings = device.upload("settings", &settings).expect("memory");
            update(device, &banks, &table, &settings).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(bits(&banks.weights.download().expect("values")), bits(&both(&weights, &states)), "step {step}");
            assert_eq!(bits(&banks.momenta.download().expect("values")), bits(&both(&momenta, &states)), "step {step}");
        }
    }
}

const PLAIN: Sgd =
    Sgd { momentum: 0.9, weight_decay: 5e-4, nesterov: false, clip_norm: None, unsampled: Unsampled::Decay };

fn check_updates(devices: &[Device]) {
    updates_agree(devices, PLAIN);
    updates_agree(devices, Sgd { nesterov: true, ..PLAIN });
    updates_agree(devices, Sgd { clip_norm: Some(0.5), ..PLAIN });
    updates_agree(devices, Sgd { momentum: 0.0, weight_decay: 0.0, ..PLAIN });
    updates_agree(devices, Sgd { unsampled: Unsampled::Skip, ..PLAIN });
}

fn data_set(shape: Shape, count: usize) -> Dataset {
    let bytes = count * shape.pixels() * shape.channels;
    let images = (0..bytes).map(|i| (i * 37 + i / 251) as u8).collect();
    Dataset::from_records("small", shape, 1, Records { images, labels: vec![0; count] }, None).expect("a data set")
}

fn check_gathered_pixels(devices: &[Device]) {
    let shapes = [Shape::new(8, 8, 1), Shape::new(5, 19, 3), Shape::new(17, 16, 4), Shape::new(3, 4, 6)];
    for (seed, shape) in (0..).zip(shapes) {
        let set = data_set(shape, 7);
        let (mean, std) = (vec![0.45; shape.channels], vec![0.21; shape.channels]);
        let table = PixelTable::new(&mean, &std).expect("a table");
        let images = [6, 0, 3, 3, 1];
        let augmentation = Augmentation { crop_padding: 2, flip: true, cutout: 3 };
        let mut placements = augmentation.draw(seed, 0, shape, images.len());
        placements[1] = Placement { dy: 99, dx: -99, flip: true, cutout: Rectangle::default() };
        for placements in [None, Some(placements.as_slice())] {
            let mut expected = vec![0.0f32; images.len() * image_length(shape)];
            gather(&set, &table, &images, placements, &mut expected);
            for device in devices {
                let out = device.allocate("mini-batch", expected.len()).expect("memory");
                let resident = ResidentPixels::new(device, &set, &table).expect("memory");
                resident.gather(&images, placements, &out).unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(bits(&out.download().expect("values")), bits(&expected), "{shape}");
            }
        }
    }
}

/// Parts of some lengths and counts, and the kernel's sums.
fn check_parts(devices: &[Device]) {
    let shapes: [(usize, usize); 4] = [(1, 1), (300, 5), (17, 33), (8, 0)];
    for device in devices {
        let parts: Vec<Vec<f32>> = (0..).zip(shapes).map(|(seed, (len, parts))| noise(seed, len * parts)).collect();
        let from: Vec<_> = parts.iter().map(|values| device.upload("parts", values).expect("memory")).collect();
        let to: Vec<_> = shapes.map(|(len, _)| device.allocate::<f32>("sums", len).expect("memory")).into();
        let entry = |(index, &(len, parts)): (usize, &(usize, usize))| Parts {
            from: Pointer::to(&from[index], 0),
            to: Pointer::to(&to[index], 0),
            len: len as u32,
            parts: parts as u32,
        };
        let entries: Vec<Parts> = shapes.iter().enumerate().map(entry).collect();
        let entries = device.upload("entries", &entries).expect("memory");
        let count = device.upload("count", &[shapes.len() as u32]).expect("memory");
        let arguments = [Argument::buffer(&entries), Argument::buffer(&count)];
        device.launch(&add_parts(6, 300), &arguments).unwrap_or_else(|error| panic!("{error}"));
        for ((values, to), (len, _)) in parts.iter().zip(&to).zip(shapes) {
            let mut expected = vec![0.0_f32; len];
            for part in values.chunks(len) {
                expected.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            }
            assert_eq!(bits(&to.download().expect("values")), bits(&expected));
        }
    }
}

fn check_parts_of_gates(devices: &[Device]) {
    for device in devices {
        let parts: Vec<Vec<f32>> = (0..11).map(|entry| noise(entry, entry as usize * 13)).collect();
        let from: Vec<_> = parts.iter().map(|values| device.upload("parts", values).expect("memory")).collect();
        let to = device.allocate::<f64>("gradients", parts.len()).expect("memory");
        let entry = |(index, values): (usize, &Vec<f32>)| Parts {
            from: Pointer::to(&from[index], 0),
            to: Pointer::to(&to, index),
            len: 1,
            parts: values.len() as u32,
        };
        let entries: Vec<Parts> = parts.iter().enumerate().map(entry).collect();
        let entries = device.upload("entries", &entries).expect("memory");
        let count = device.upload("count", &[parts.len() as u32]).expect("memory");
        let arguments = [Argument::buffer(&entries), Argument::buffer(&count)];
        device.launch(&add_gate_parts(20), &arguments).unwrap_or_else(|error| panic!("{error}"));
        for (values, found) in parts.iter().zip(to.download().expect("values")) {
            let expected: f64 = values.iter().map(|part| f64::from(*part)).sum();
            assert!((found - expected).abs() <= 1e-12, "{found}, not {expected}");
        }
    }
}

#[test]
fn the_update_of_two_replicas_has_the_bits_of_the_cpu() {
    check_updates(&emulators());
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_the_update_of_two_replicas_has_the_bits_of_the_cpu() {
    check_updates(&[gpu()]);
}

#[test]
fn gathered_pixels_have_the_bits_of_the_cpu() {
    check_gathered_pixels(&emulators());
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_gathered_pixels_have_the_bits_of_the_cpu() {
    check_gathered_pixels(&[gpu()]);
}

#[test]
fn parts_are_added_in_their_order() {
    check_parts(&emulators());
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_parts_are_added_in_their_order() {
    check_parts(&[gpu()]);
}

#[test]
fn parts_of_gates_are_added_in_f64() {
    check_parts_of_gates(&emulators());
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_parts_of_gates_are_added_in_f64() {
    check_parts_of_gates(&[gpu()]);
}
