//! Eight lanes with the registers of AVX-512: for 8, 24, 40 ... channels. Many processors do two of these in the time of a wide one.
//!
//! Why the `unsafe` blocks are sound: a value of [`Avx512Narrow`] exists only where an [`Avx512`](super::avx512::Avx512) made it; the pointers obey the
//! contracts of [`Simd`].

use super::Simd;
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub struct Avx512Narrow(pub(super) ());

impl Simd for Avx512Narrow {
    type Vector = __m256;
    type Mask = __mmask8;
    type Narrow = Self;
    const LANES: usize = 8;
    const REGISTERS: usize = 32;

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
    fn greater(self, a: __m256, b: __m256) -> __mmask8 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_cmp_ps_mask::<_CMP_GT_OQ>(a, b) }
    }
    #[inline(always)]
    fn equal(self, a: __m256, b: __m256) -> __mmask8 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_cmp_ps_mask::<_CMP_EQ_OQ>(a, b) }
    }
    #[inline(always)]
    fn unordered(self, a: __m256, b: __m256) -> __mmask8 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_cmp_ps_mask::<_CMP_UNORD_Q>(a, b) }
    }
    #[inline(always)]
    fn or(self, a: __mmask8, b: __mmask8) -> __mmask8 {
        a | b
    }
    #[inline(always)]
    fn any(self, mask: __mmask8) -> bool {
        mask != 0
    }
    #[inline(always)]
    fn select(self, mask: __mmask8, yes: __m256, no: __m256) -> __m256 {
        // SAFETY: see the head of this file.
        unsafe { _mm256_mask_blend_ps(mask, no, yes) }
    }
}
