//! Kernels against the CPU's code: the same bits, on the emulator under every schedule and, where asked for, on a GPU.
#![cfg(unix)]

mod common;

use common::{gpu, model, noise, zhang64};
use crosstalk::backend::cuda::update::chunks;
use crosstalk::backend::host;
use crosstalk::data::cuda::{ResidentPixels, gather_pixels};
use crosstalk::data::{Augmentation, Dataset, PixelTable, Placement, Records, Rectangle, gather, image_length};
use crosstalk::device::emulator::{Copies, Schedule};
use crosstalk::device::{Argument, Device, Pointer};
use crosstalk::network::{Bank, Model, ParameterRef, Sharing, State};

use crosstalk::ops::cuda::reduction::{GateParts, Gradient, Term, add_gate_parts, add_gradients};
use crosstalk::ops::sgd::cuda::{LossTask, Losses, SgdChunk, SgdSettings, check_losses, sgd_update};
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
        let mut started: Vec<Vec<bool>> = states.iter().map(|state| state.started.clone()).collect();
        let upload = |name: &str, values: &[f32]| device.upload(name, values).expect("memory");
        let weights: Vec<_> = states.iter().map(|state| upload("weights", &state.weights.values)).collect();
        let momenta: Vec<_> = states.iter().map(|state| upload("momenta", &state.momentum.values)).collect();
        for step in 0..4 {
            let (mut table, mut settings, mut uploaded) = (Vec::new(), Vec::new(), Vec::new());
            for (replica, state) in states.iter_mut().enumerate() {
                let used = used(&model, step + replica);
                let (given, norm) = gradients(&model, &used, (2 * step + replica) as u64);
                let mut bank = Bank::<f32>::zeroed(model.layout.clone());
                given.iter().for_each(|(reference, g)| bank.get_mut(reference.parameter, 0).copy_from_slice(g));
                table.extend(chunks(&sgd, &model, &started[replica], &used, replica as u32));
                let factor = device.upload("factor", &[sgd.clip_factor(norm) as f32]).expect("memory");
                let is_finite = device.upload("flag", &[1u32]).expect("memory");
                let gradients = upload("gradients", &bank.values);
                settings.push(SgdSettings {
                    weights: Pointer::to(&weights[replica], 0),
                    momenta: Pointer::to(&momenta[replica], 0),
                    gradients: Pointer::to(&gradients, 0),
                    is_finite: Pointer::to(&is_finite, 0),
                    factor: Pointer::to(&factor, 0),
                    ..SgdSettings::new(&sgd, rate(step, replica))
                });
                uploaded.push((gradients, factor, is_finite));
                host::update(&sgd, &model, state, given, rate(step, replica));
                started[replica].clone_from(&state.started);
            }
            let count = device.upload("count", &[table.len() as u32]).expect("memory");
            let chunks = device.upload("chunks", &table).expect("memory");
            let settings = device.upload("settings", &settings).expect("memory");
            let arguments = [Argument::buffer(&chunks), Argument::buffer(&settings), Argument::buffer(&count)];
            // Blocks beyond the chunks have nothing to do.
            device.launch(&sgd_update(table.len() as u32 + 3), &arguments).unwrap_or_else(|error| panic!("{error}"));
            for (replica, state) in states.iter().enumerate() {
                let [found, expected] = [weights[replica].download().expect("values"), state.weights.values.to_vec()];
                assert_eq!(bits(&found), bits(&expected), "weights after step {step}");
                let [found, expected] = [momenta[replica].download().expect("values"), state.momentum.values.to_vec()];
                assert_eq!(bits(&found), bits(&expected), "momenta after step {step}");
            }
        }
    }
}

/// A replica with a loss that is not finite stays as it is.
fn check_losses_that_are_not_finite(devices: &[Device]) {
    for device in devices {
        for (losses, finite) in [([0.5, 1.0, 2.0], 1), ([0.5, f32::NAN, 2.0], 0), ([0.5, 1.0, f32::INFINITY], 0)] {
            let losses = device.upload("losses", &losses).expect("memory");
            let flag = device.upload("flag", &[7u32]).expect("memory");
            let task = LossTask { is_finite: Pointer::to(&flag, 0), first: 0, lanes: 2 };
            let lanes = [(0, 1), (1, 2)].map(|(first, images)| Losses { losses: Pointer::to(&losses, first), images });
            let (tasks, lanes) = (device.upload("tasks", &[task]), device.upload("lanes", &lanes));
            let count = device.upload("count", &[1u32]).expect("memory");
            let (tasks, lanes) = (tasks.expect("memory"), lanes.expect("memory"));
            let arguments = [Argument::buffer(&tasks), Argument::buffer(&lanes), Argument::buffer(&count)];
            device.launch(&check_losses(1), &arguments).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(flag.download().expect("a flag"), [finite]);

            let mut bank = device.upload("bank", &[1.0_f32; 16]).expect("memory");
            let settings = SgdSettings {
                weights: Pointer::to(&bank, 0),
                momenta: Pointer::to(&bank, 4),
                gradients: Pointer::to(&bank, 8),
                is_finite: Pointer::to(&flag, 0),
                ..SgdSettings::new(&PLAIN, 0.5)
            };
            let settings = device.upload("settings", &[settings]).expect("memory");
            let chunk: Vec<SgdChunk> = SgdChunk::of_parameter(0..4, 0, true, true).collect();
            let chunk = device.upload("chunk", &chunk).expect("memory");
            let arguments = [Argument::buffer(&chunk), Argument::buffer(&settings), Argument::buffer(&count)];
            device.launch(&sgd_update(1), &arguments).unwrap_or_else(|error| panic!("{error}"));
            let moved = bank.download().expect("values")[..4].iter().all(|weight| *weight != 1.0);
            assert_eq!(moved, finite == 1);
            bank.fill_bytes(0).expect("memory");
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
                let tasks = device.upload("tasks", &resident.tasks(&images, placements, &out)).expect("memory");
                let count = device.upload("count", &[images.len() as u32]).expect("memory");
                let [pixels, numbers, size] = resident.pointers().map(Argument::value);
                let arguments = [Argument::buffer(&tasks), pixels, numbers, size, Argument::buffer(&count)];
                device
                    .launch(&gather_pixels(resident.shape, images.len() as u32 + 2), &arguments)
                    .unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(bits(&out.download().expect("values")), bits(&expected), "{shape}");
            }
        }
    }
}

/// Gradients of some lengths, from terms of some counts of parts, and the kernel's sums.
fn check_gradients(devices: &[Device]) {
    let shapes: [(usize, &[usize]); 5] = [(1, &[1]), (300, &[5, 0, 2]), (17, &[33, 1]), (8, &[0]), (9, &[])];
    for device in devices {
        for (accumulate, scale) in [(0, 1.0_f32), (1, 0.3)] {
            let (mut terms, mut parts, mut kept) = (Vec::new(), Vec::new(), Vec::new());
            let to: Vec<_> =
                shapes.map(|(len, _)| device.upload("sums", &noise::<f32>(99, len)).expect("memory")).into();
            let entries = [0, 1, 2, 3, 4].map(|index| {
                let (len, counts) = shapes[index];
                let first = terms.len() as u32;
                for (term, count) in counts.iter().enumerate() {
                    let values: Vec<f32> = noise((10 * index + term) as u64, len * count);
                    let from = device.upload("parts", &values).expect("memory");
                    terms.push(Term { from: Pointer::to(&from, 0), parts: *count as u64 });
                    parts.push((index, values));
                    kept.push(from);
                }
                let (len, counted) = (len as u32, counts.len() as u32);
                let to = Pointer::to(&to[index], 0);
                Gradient { to, first, terms: counted, len, accumulate, scale, unused: 0 }
            });
            let entries = device.upload("entries", &entries).expect("memory");
            let terms = device.upload("terms", &terms).expect("memory");
            let count = device.upload("count", &[shapes.len() as u32]).expect("memory");
            let arguments = [Argument::buffer(&entries), Argument::buffer(&terms), Argument::buffer(&count)];
            device.launch(&add_gradients(7, 300), &arguments).unwrap_or_else(|error| panic!("{error}"));
            for (index, (len, _)) in shapes.into_iter().enumerate() {
                let mut expected = if accumulate == 1 { noise(99, len) } else { vec![0.0_f32; len] };
                for (_, values) in parts.iter().filter(|(of, _)| *of == index) {
                    let mut sum = vec![0.0_f32; len];
                    values.chunks(len).for_each(|part| sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part));
                    expected.iter_mut().zip(sum).for_each(|(total, sum)| *total += sum);
                }
                expected.iter_mut().for_each(|total| *total *= scale);
                assert_eq!(bits(&to[index].download().expect("values")), bits(&expected));
            }
        }
    }
}

fn check_parts_of_gates(devices: &[Device]) {
    for device in devices {
        let parts: Vec<Vec<f32>> = (0..11).map(|entry| noise(entry, entry as usize * 13)).collect();
        let from: Vec<_> = parts.iter().map(|values| device.upload("parts", values).expect("memory")).collect();
        let to = device.allocate::<f64>("gradients", parts.len()).expect("memory");
        let entry = |(index, values): (usize, &Vec<f32>)| GateParts {
            from: Pointer::to(&from[index], 0),
            to: Pointer::to(&to, index),
            parts: values.len() as u64,
        };
        let entries: Vec<GateParts> = parts.iter().enumerate().map(entry).collect();
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
fn a_replica_whose_loss_is_not_finite_stays_as_it_is() {
    check_losses_that_are_not_finite(&emulators());
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_a_replica_whose_loss_is_not_finite_stays_as_it_is() {
    check_losses_that_are_not_finite(&[gpu()]);
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
fn gradients_are_added_in_their_order() {
    check_gradients(&emulators());
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_gradients_are_added_in_their_order() {
    check_gradients(&[gpu()]);
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
