//! Eight lanes with the registers of AVX-512: for 8, 24, 40 ... channels. Many processors do two of these in the time of a wide one.
//!
//! Why the `unsafe` blocks are sound: a value of [`Avx512Narrow`] exists only where an [`Avx512`](super::avx512::Avx512) made it; the pointers obey the
//! contracts of [`Simd`].

use super::Simd;
use super::eight_lanes::eight_lanes;
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub struct Avx512Narrow(pub(super) ());

impl Simd for Avx512Narrow {
    eight_lanes!();

    type Mask = __mmask8;
    const REGISTERS: usize = 32;

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
