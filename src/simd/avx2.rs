//! Eight lanes with AVX2 and FMA.
//!
//! Why the `unsafe` blocks are sound: a value of [`Avx2`] exists only inside [`run`], whose caller vouches for the processor; the pointers obey the
//! contracts of [`Simd`].

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
    type Vector = __m256;
    type Mask = __m256;
    type Narrow = Self;
    const LANES: usize = 8;
    const REGISTERS: usize = 16;

    #[inline(always)]
    fn narrow(self) -> Self {
        self
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, value: __m256) {
        // SAFETY: see the head of this file.
        unsafe { _mm256_storeu_ps(to, value) }
    }
    #[inline(always)]
    fn zero(self) -> __m256 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_setzero_ps() }
    }
    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_set1_ps(value) }
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    fn sqrt(self, a: __m256) -> __m256 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_sqrt_ps(a) }
    }
    #[inline(always)]
    fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_max_ps(a, b) }
    }
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
