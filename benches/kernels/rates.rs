//! What the processor can do at best: multiply-adds from registers, and copies of memory.

use crosstalk::simd::{Kernel, Level, Simd};
use std::hint::black_box;
use std::time::Instant;

/// Of one thread.
pub struct Rates {
    pub flops_per_second: f64,
    /// Read and written.
    pub bytes_per_second: f64,
}

impl Rates {
    /// The best of several tries.
    pub fn measure(level: Level) -> Self {
        Self {
            flops_per_second: best(5, || {
                let start = Instant::now();
                let flops = level.run(MultiplyAdd { rounds: 1 << 20 });
                flops / start.elapsed().as_secs_f64()
            }),
            bytes_per_second: copies(),
        }
    }
}

fn best(tries: usize, rate: impl FnMut() -> f64) -> f64 {
    std::iter::repeat_with(rate).take(tries).fold(0.0, f64::max)
}

/// Buffers larger than any cache.
fn copies() -> f64 {
    let (source, mut target) = (vec![1.0_f32; 64 << 20], vec![0.0_f32; 64 << 20]);
    best(3, || {
        let start = Instant::now();
        black_box(&mut target).copy_from_slice(black_box(&source));
        2.0 * size_of_val(&source[..]) as f64 / start.elapsed().as_secs_f64()
    })
}

/// Enough independent chains of multiply-adds to hide their latency, few enough for 16 registers.
struct MultiplyAdd {
    rounds: usize,
}

const CHAINS: usize = 10;

impl Kernel for MultiplyAdd {
    /// FLOPs done.
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f64 {
        let (factor, term) = (simd.splat(black_box(0.999)), simd.splat(black_box(0.001)));
        let mut sums = [simd.splat(1.0); CHAINS];
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = simd.fma(*sum, factor, term);
            }
        }
        black_box(sums);
        (2 * self.rounds * CHAINS * S::LANES) as f64
    }
}
