//! Stages on the CUDA kernels, which the emulator runs and, where asked for, a GPU. A family of kernels has a file with its launches and its tests.

mod convolution;
mod device_stage;
mod head;
mod input;
mod node;
mod numbers;
mod output;
mod plain;
mod pool;
mod rounded;
mod rows;
mod separable;

use crate::case::{self, Case, Kind};
use crate::common::gpu;
use crate::found::Found;
use crate::given::Given;
use crate::{CPU_TOLERANCE, Tensors, compare, reference};
use crosstalk::device::Device;
use crosstalk::device::emulator::{Copies, Schedule};
use crosstalk::ops::cuda::{Geometry, StageLaunch, Storage};
use device_stage::DeviceStage;

/// The kernels of one stage, as its launchers give them.
pub struct Kernels {
    pub forward: StageLaunch,
    /// In the order in which they run.
    pub backward: Vec<StageLaunch>,
    /// Parts of what is summed with the gradients of the inputs.
    pub sum_parts: u32,
    /// Parts of the gradient of each weight.
    pub weight_parts: Vec<u32>,
}

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
    match case.linear() {
        Some(operation) => Geometry::of_operation(&operation, case.batch, case.stored_input().physical()),
        None => Geometry::of_pixels(case.input(), case.batch, case.stored_output().physical()),
    }
}

/// Of a forward pass.
fn multiply_adds(case: &Case) -> usize {
    let weights: usize = case.weights().iter().map(|(_, layout)| layout.bank_len()).sum();
    case.batch * case.output().pixels() * weights
}

fn run(device: &Device, storage: Storage, given: &Given, kernels: &Kernels, accumulate: bool) -> Found {
    let mut stage = DeviceStage::new(device, storage, given, kernels, &geometry(given.case), accumulate);
    stage.run(kernels);
    let mut found = Found::default();
    stage.record(&mut found);
    found
}

/// Runs all stages of some kinds in f32, on the emulator the small ones twice, on a GPU all.
fn check_against_the_reference(on: On, kinds: &[Kind], kernels: impl Fn(&Case, &Geometry, Storage) -> Kernels) {
    let mut worst = 0.0_f64;
    let cases = case::table();
    let cases = cases.iter().filter(|case| kinds.contains(&case.operation) && on.takes(case));
    for case in cases {
        let given = Given::drawn(case);
        let kernels = kernels(case, &geometry(case), Storage::F32);
        for accumulate in [false, true] {
            let expected = reference::run(&given, accumulate).0;
            let found: Tensors = run(&on.device(0), Storage::F32, &given, &kernels, accumulate).0;
            let label = format!("{case}, accumulating {accumulate}");
            if on.repeats(case) {
                let again = run(&on.device(1), Storage::F32, &given, &kernels, accumulate).0;
                assert_eq!(found, again, "{label}: bits of another run");
            }
            worst = worst.max(compare(&label, found, expected, CPU_TOLERANCE));
        }
    }
    println!("f32: largest error {worst:.1e}");
}
