//! Speed of the CPU kernels on one thread, forward and backward, over the cases of `tests/cases.toml` that say `bench = true`.
//!
//! `cargo bench --bench kernels [-- filter]`. Criterion's "elements" are the FLOPs of the cost model (`ops::StageCost`: recomputation does not count), so
//! Gelem/s reads as GFLOP/s. Below each time stands its floor: the larger of FLOPs over the processor's measured rate and minimum bytes over its measured rate
//! of copying. The inputs of a case stay in cache, so a stage may beat its traffic floor.

#[path = "../../tests/stages/case.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod case;
#[path = "../../tests/stages/channels.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod channels;
#[path = "../../tests/stages/cpu/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod cpu;
#[path = "../../tests/stages/found.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod found;
#[path = "../../tests/stages/given.rs"]
mod given;
mod rates;

use case::{Case, Kind};
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use crosstalk::ops::{Cost, StageCost, Work};
use crosstalk::simd::Level;
use given::Given;
use rates::Rates;
use std::cell::Cell;
use std::time::Instant;

fn cost(case: &Case) -> StageCost {
    let elements = |shape: crosstalk::tensor::Shape, stored: usize| (shape.pixels() * stored) as u64;
    let work = match (case.linear(), case.operation) {
        (Some(operation), _) => Work::Linear(operation),
        (None, Kind::Node) => Work::Node { terms: case.segments.len() as u64, gated: case.segments.len() as u64 },
        (None, _) => Work::Head,
    };
    let written =
        if case.operation == Kind::Head { 0 } else { elements(case.output(), case.stored_output().physical()) };
    let read = match case.operation {
        // The terms of a node are added, not concatenated.
        Kind::Node => case.segments.len() as u64 * written,
        _ => elements(case.input(), case.stored_input().physical()),
    };
    StageCost { work, read, written, input_gradients: !case.image, weight_gradients: true }
}

/// Times one pass over the case's mini-batch, and prints its floor below.
fn time(
    group: &mut BenchmarkGroup<WallTime>,
    rates: &Rates,
    name: &str,
    images: usize,
    cost: Cost,
    mut run: impl FnMut(),
) {
    let (flops, bytes) = (images as u64 * cost.flops, images as u64 * cost.bytes);
    let best = Cell::new(f64::INFINITY);
    group.throughput(Throughput::Elements(flops));
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let start = Instant::now();
            (0..iterations).for_each(|_| run());
            let elapsed = start.elapsed();
            best.set(best.get().min(elapsed.as_secs_f64() / iterations as f64));
            elapsed
        });
    });
    // Infinite where a filter left the case out.
    if best.get().is_finite() {
        let (arithmetic, traffic) = (flops as f64 / rates.flops_per_second, bytes as f64 / rates.bytes_per_second);
        let (floor, micro) = (arithmetic.max(traffic), 1e6);
        println!(
            "                        floor: arithmetic {:.1} µs, traffic {:.1} µs; best {:.1} µs = {:.2} x the floor\n",
            arithmetic * micro,
            traffic * micro,
            best.get() * micro,
            best.get() / floor
        );
    }
}

fn kernels(criterion: &mut Criterion) {
    let cases: Vec<Case> = case::table().into_iter().filter(|case| case.bench).collect();
    for level in Level::available().into_iter().rev() {
        let rates = Rates::measure(level);
        println!(
            "{level}, one thread: {:.0} GFLOP/s, copies {:.1} GB/s\n",
            rates.flops_per_second / 1e9,
            rates.bytes_per_second / 1e9
        );
        let mut group = criterion.benchmark_group(level.to_string());
        for case in &cases {
            let (given, cost) = (Given::drawn(case), cost(case));
            let mut stage = cpu::prepare(level, &given);
            let (images, element_bytes) = (case.batch, size_of::<f32>() as u64);
            let name = |pass| format!("{case} {pass}");
            time(&mut group, &rates, &name("forward"), images, cost.forward(element_bytes), || {
                stage.forward(0..images)
            });
            time(&mut group, &rates, &name("backward"), images, cost.backward(element_bytes), || stage.backward(false));
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(std::time::Duration::from_millis(100))
        .measurement_time(std::time::Duration::from_millis(300));
    targets = kernels
}
criterion_main!(benches);
