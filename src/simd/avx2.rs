//! Eight lanes with AVX2 and FMA.
//!
//! Why the `unsafe` blocks are sound: a value of [`Avx2`] exists only inside [`run`], whose caller vouches for the processor; the pointers obey the
//! contracts of [`Simd`].

use super::eight_lanes::eight_lanes;
use super::{Kernel, Simd};
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub struct Avx2(());

/// # Safety
/// The processor has avx2, fma.
#[target_feature(enable = "avx2,fma")]
pub unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2(()))
}

impl Simd for Avx2 {
    eight_lanes!();

    type Mask = __m256;
    const REGISTERS: usize = 16;

    #[inline(always)]
    fn greater(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_cmp_ps::<_CMP_GT_OQ>(a, b) }
    }
    #[inline(always)]
    fn equal(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b) }
    }
    #[inline(always)]
    fn unordered(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_cmp_ps::<_CMP_UNORD_Q>(a, b) }
    }
    #[inline(always)]
    fn or(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_or_ps(a, b) }
    }
    #[inline(always)]
    fn any(self, mask: __m256) -> bool {
        // SAFETY: see the head of this file.
        unsafe { _mm256_movemask_ps(mask) != 0 }
    }
    #[inline(always)]
    fn select(self, mask: __m256, yes: __m256, no: __m256) -> __m256 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_blendv_ps(no, yes, mask) }
    }
}
