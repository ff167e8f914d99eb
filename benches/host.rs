//! What the host does for a training step on a GPU: drawing children and images, placing lanes, writing tables and commands. The device is not there,
//! so nothing is copied and no kernel runs.
//!
//! `cargo bench --bench host`

use criterion::{Criterion, criterion_group, criterion_main};
use crosstalk::backend::cuda::Cuda;
use crosstalk::device::Device;
use crosstalk::device::facts::DEVICES;
use crosstalk::ops::cuda::Storage;
use crosstalk::train::{Setup, Trainer, config};
use std::sync::Arc;

/// Steps of the preset `quick`, whose children are drawn anew for every step.
fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("host");
    for lanes in [8, 64] {
        let settings = ["step.children='uniform'".to_owned(), format!("step.lanes={lanes}")];
        let setup = Arc::new(Setup::new(config::load("quick", &settings).expect("a preset")).expect("a setup"));
        let backend = Cuda::new(Device::absent(DEVICES[0]), Storage::Bf16);
        let mut trainer = Trainer::new(setup, backend).expect("a trainer");
        // Until every child was seen.
        (0..100).for_each(|_| drop(trainer.step().expect("a step")));
        group
            .bench_function(format!("quick {lanes} lanes"), |bencher| bencher.iter(|| trainer.step().expect("a step")));
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
