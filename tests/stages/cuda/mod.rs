//! Stages on the CUDA kernels, which the emulator runs and, where asked for, a GPU. Linear operations share their tests, which ask each for its kernels.

mod device_stage;
mod head;
mod input;
mod linear;
mod node;
mod numbers;
mod output;
mod plain;
mod pool;
mod rounded;
mod rows;

use crate::case::{self, Case, Kind};
use crate::common::gpu;
use crate::found::Found;
use crate::given::Given;
use crate::{CPU_TOLERANCE, Tensors, compare, reference};
use crosstalk::device::Device;
use crosstalk::device::emulator::{Copies, Schedule};
use crosstalk::ops;
use crosstalk::ops::cuda::{Geometry, StageKernels, Storage};
use device_stage::DeviceStage;

/// Stages of more multiply-adds take seconds under the emulator's checks, and are left to GPUs.
const MULTIPLY_ADDS: usize = 3_000_000;
/// Stages of so many run under several schedules.
const FEW_MULTIPLY_ADDS: usize = 500_000;

/// Where kernels run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum On {
    Emulator,
    /// The first GPU.
    Gpu,
}

impl On {
    /// The first or second device: emulators of different schedules, or the same GPU.
    pub fn device(self, which: usize) -> Device {
        match self {
            Self::Emulator => Device::emulator(SCHEDULES[which]).expect("an emulator"),
            Self::Gpu => gpu(),
        }
    }

    pub fn takes(self, case: &Case) -> bool {
        self == Self::Gpu || multiply_adds(case) <= MULTIPLY_ADDS
    }

    /// Whether a case runs on both devices.
    fn repeats(self, case: &Case) -> bool {
        self == Self::Gpu || multiply_adds(case) <= FEW_MULTIPLY_ADDS
    }
}

const SCHEDULES: [Schedule; 2] =
    [Schedule { seed: 0, copies: Copies::Late }, Schedule { seed: 1, copies: Copies::Early }];

fn geometry(case: &Case) -> Geometry {
    let inputs = case.stored_input().physical();
    match (case.linear(), case.operation) {
        (Some(operation), _) => Geometry::of_operation(&operation, case.batch, inputs),
        (None, Kind::Head) => Geometry::of_pixels(case.input(), case.batch, inputs),
        // A node's terms are added, not concatenated.
        (None, _) => Geometry::of_pixels(case.input(), case.batch, case.stored_output().physical()),
    }
}

/// The kernels of a case; all terms of a node have gates.
fn kernels(case: &Case, storage: Storage) -> StageKernels {
    let (geometry, terms) = (geometry(case), case.segments.len());
    match (case.linear(), case.operation) {
        (Some(operation), _) => operation.linear().kernels(&geometry, case.image, storage),
        (None, Kind::Head) => ops::head::cuda::kernels(&geometry, case.output().channels as u32, storage),
        (None, _) => ops::node::cuda::kernels(&geometry, terms, terms, storage),
    }
}

/// Of a forward pass.
fn multiply_adds(case: &Case) -> usize {
    let weights: usize = case.weights().iter().map(|(_, layout)| layout.bank_len()).sum();
    case.batch * case.output().pixels() * weights
}

fn run(device: &Device, storage: Storage, given: &Given, accumulate: bool) -> Found {
    let mut stage = DeviceStage::new(device, storage, given, accumulate);
    stage.run();
    let mut found = Found::default();
    stage.record(&mut found);
    found
}

/// Runs some stages in f32, on the emulator the small ones twice, on a GPU all.
fn check_against_the_reference(on: On, wanted: impl Fn(Kind) -> bool) {
    let mut worst = 0.0_f64;
    for case in case::table().iter().filter(|case| wanted(case.operation) && on.takes(case)) {
        let given = Given::drawn(case);
        for accumulate in [false, true] {
            let expected = reference::run(&given, accumulate).0;
            let found: Tensors = run(&on.device(0), Storage::F32, &given, accumulate).0;
            let label = format!("{case}, accumulating {accumulate}");
            if on.repeats(case) {
                let again = run(&on.device(1), Storage::F32, &given, accumulate).0;
                assert_eq!(found, again, "{label}: bits of another run");
            }
            worst = worst.max(compare(&label, found, expected, CPU_TOLERANCE));
        }
    }
    println!("f32: largest error {worst:.1e}");
}
