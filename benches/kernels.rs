//! Speed of the CPU kernels on one thread, forward and backward, over the stages of `zhang64`.
//!
//! `cargo bench --bench kernels [-- filter]`; criterion's "elements" are the textbook's floating-point operations (a multiplication and an addition each count;
//! backward is twice forward, recomputation does not count), so Gelem/s reads as GFLOP/s. Pools count one operation a tap and channel.

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use crosstalk::ops::input::{
    GradientSums, Input, Moments, Normalize, NormalizeBackward, OutputGradient, Segment, SegmentGradient,
};
use crosstalk::ops::{Convolution, DepthwiseSeparable, Pool, PoolKind, Window, convolution, depthwise, pool};
use crosstalk::simd::{Level, Scratch};
use crosstalk::tensor::{Buffer, Shape};

#[derive(Clone, Copy)]
enum Kind {
    Convolution,
    Separable,
    Pool(PoolKind),
}

/// One stage: name, kind, window, size, input channels by segment, output channels.
type Case = (&'static str, Kind, Window, usize, &'static [usize], usize);

const CASES: &[Case] = &[
    ("stem 3->48", Kind::Convolution, Window::same(3, 1, 1), 32, &[4], 48),
    ("stem 48->48", Kind::Convolution, Window::same(3, 1, 1), 32, &[48], 48),
    ("preprocess 48->16", Kind::Convolution, Window::same(1, 1, 1), 32, &[48], 16),
    ("preprocess 16+16->16", Kind::Convolution, Window::same(1, 1, 1), 32, &[16, 16], 16),
    ("separable 3x3 16->16", Kind::Separable, Window::same(3, 1, 1), 32, &[16], 16),
    ("separable 5x5 16->16", Kind::Separable, Window::same(5, 1, 1), 32, &[16], 16),
    ("dilated 5x5 16->16", Kind::Separable, Window::same(5, 1, 2), 32, &[16], 16),
    ("max pool 16", Kind::Pool(PoolKind::Max), Window::same(3, 1, 1), 32, &[16], 16),
    ("average pool 16", Kind::Pool(PoolKind::Average), Window::same(3, 1, 1), 32, &[16], 16),
    ("convolution 3x3 16->16", Kind::Convolution, Window::same(3, 1, 1), 32, &[16], 16),
    ("convolution 3x3 64->64", Kind::Convolution, Window::same(3, 1, 1), 8, &[64], 64),
    ("convolution 3x3 16->32 stride 2", Kind::Convolution, Window::same(3, 2, 1), 32, &[16], 32),
    ("stem 3->24", Kind::Convolution, Window::same(3, 1, 1), 8, &[4], 24),
    ("stem 24->24", Kind::Convolution, Window::same(3, 1, 1), 8, &[24], 24),
    ("preprocess 24->8", Kind::Convolution, Window::same(1, 1, 1), 8, &[24], 8),
    ("preprocess 8+8->8", Kind::Convolution, Window::same(1, 1, 1), 8, &[8, 8], 8),
    ("separable 3x3 8->8", Kind::Separable, Window::same(3, 1, 1), 8, &[8], 8),
    ("separable 5x5 8->8", Kind::Separable, Window::same(5, 1, 1), 8, &[8], 8),
    ("dilated 5x5 8->8", Kind::Separable, Window::same(5, 1, 2), 8, &[8], 8),
    ("max pool 8", Kind::Pool(PoolKind::Max), Window::same(3, 1, 1), 8, &[8], 8),
];

fn numbers(len: usize) -> Buffer<f32> {
    let mut buffer = Buffer::zeroed(len);
    let mut state = 1u32;
    for value in buffer.iter_mut() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *value = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
    }
    buffer
}

fn case(group: &mut BenchmarkGroup<WallTime>, level: Level, &(name, kind, window, size, segments, outputs): &Case) {
    let images = 16 * 32 * 32 / (size * size) / 8;
    let inputs: usize = segments.iter().sum();
    let input_shape = Shape::new(size, size, inputs);
    let output_shape = window.output_shape(input_shape, outputs);
    let (pixels, from_pixels) = (images * output_shape.pixels(), images * input_shape.pixels());
    let per_pixel = match kind {
        Kind::Convolution => 2 * window.taps() * inputs * outputs,
        Kind::Separable => 2 * inputs * (window.taps() + outputs),
        Kind::Pool(_) => window.taps() * inputs,
    };
    let values: Vec<Buffer<f32>> = segments.iter().map(|channels| numbers(from_pixels * channels)).collect();
    let parameters = numbers(64);
    let image = inputs == 4;
    let normalize = |channels: usize| Normalize {
        mean: &parameters[..channels],
        scale: &parameters[..channels],
        shift: &parameters[..channels],
    };
    let segments: Vec<Segment> = values
        .iter()
        .zip(segments)
        .map(|(values, &channels)| Segment { values, channels, normalize: (!image).then(|| normalize(channels)) })
        .collect();
    let input = Input { segments: &segments, relu: !image };
    let taps = window.taps();
    let (depthwise, pointwise) = (numbers(taps * inputs), numbers(inputs * outputs));
    let weights = numbers(taps * inputs * outputs);
    let mut output = Buffer::zeroed(pixels * outputs);
    let mut moments = Moments::new(outputs);
    let mut scratch = Scratch::default();
    let convolution = Convolution { window, input: input_shape, output: output_shape };
    let separable = DepthwiseSeparable { window, input: input_shape, output: output_shape };
    let pool = Pool {
        kind: if let Kind::Pool(kind) = kind { kind } else { PoolKind::Max },
        window,
        input: input_shape,
        output: output_shape,
    };
    let both = depthwise::cpu::Weights { depthwise: &depthwise, pointwise: &pointwise };

    group.throughput(Throughput::Elements((pixels * per_pixel) as u64));
    group.bench_function(format!("{name} forward"), |b| {
        b.iter(|| {
            let (m, s) = (Some(&mut moments), &mut scratch);
            match kind {
                Kind::Convolution => {
                    convolution::cpu::forward(level, &convolution, &input, images, &weights, &mut output, m, s)
                }
                Kind::Separable => depthwise::cpu::forward(level, &separable, &input, images, both, &mut output, m, s),
                Kind::Pool(_) => pool::cpu::forward(level, &pool, &input, images, &mut output, m, s),
            }
        });
    });

    let dz = numbers(pixels * outputs);
    let per_channel = &parameters[..outputs];
    let backward =
        NormalizeBackward { mean: per_channel, rstd: per_channel, k: per_channel, m1: per_channel, m2: per_channel };
    let dy = OutputGradient { dz: &dz, y: &output, normalize: Some(backward) };
    let mut targets: Vec<Buffer<f32>> = values.iter().map(|values| Buffer::zeroed(values.len())).collect();
    let mut sums: Vec<[Vec<f64>; 2]> =
        segments.iter().map(|s| [vec![0.0; s.channels], vec![0.0; s.channels]]).collect();
    let mut gradients: Vec<SegmentGradient> = targets
        .iter_mut()
        .zip(&mut sums)
        .map(|(dz, [sum, sum_xhat])| {
            let channels = sum.len();
            let (mean, rstd) = (&parameters[..channels], &parameters[..channels]);
            SegmentGradient {
                dz,
                accumulate: false,
                sums: Some(GradientSums { mean, rstd, dz: sum, dz_xhat: sum_xhat }),
            }
        })
        .collect();
    let mut prepared = Buffer::zeroed(weights.len().max(depthwise.len() + pointwise.len()));
    let mut gradient = Buffer::zeroed(weights.len());
    let (mut d_depthwise, mut d_pointwise) = (Buffer::zeroed(depthwise.len()), Buffer::zeroed(pointwise.len()));
    match kind {
        Kind::Convolution => convolution::cpu::prepare_backward(&convolution, &weights, &mut prepared),
        Kind::Separable => depthwise::cpu::prepare_backward(&separable, both, &mut prepared),
        Kind::Pool(_) => {}
    }
    let passes = if image || matches!(kind, Kind::Pool(_)) { 1 } else { 2 };
    group.throughput(Throughput::Elements((passes * pixels * per_pixel) as u64));
    group.bench_function(format!("{name} backward"), |b| {
        b.iter(|| {
            let s = &mut scratch;
            match kind {
                Kind::Convolution => {
                    let targets = (!image).then_some(&mut gradients[..]);
                    convolution::cpu::backward(
                        level,
                        &convolution,
                        &input,
                        images,
                        &prepared,
                        dy,
                        targets,
                        &mut gradient,
                        s,
                    );
                }
                Kind::Separable => {
                    let to =
                        depthwise::cpu::WeightGradients { depthwise: &mut d_depthwise, pointwise: &mut d_pointwise };
                    depthwise::cpu::backward(
                        level,
                        &separable,
                        &input,
                        images,
                        both,
                        &prepared,
                        dy,
                        Some(&mut gradients),
                        to,
                        s,
                    );
                }
                Kind::Pool(_) => pool::cpu::backward(level, &pool, &input, images, dy, &mut gradients, s),
            }
        });
    });
}

fn kernels(criterion: &mut Criterion) {
    for level in Level::available().into_iter().rev() {
        let mut group = criterion.benchmark_group(level.to_string());
        for entry in CASES {
            case(&mut group, level, entry);
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
