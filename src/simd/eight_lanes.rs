//! What every instruction set of the x86 family does in the same way with eight lanes.

/// Items of an `impl Simd` for vectors of type `__m256`: all but the masks and the number of registers. The file that uses it imports
/// the intrinsics, and says why a value of its type proves that the processor has AVX2 and FMA.
macro_rules! eight_lanes {
    () => {
        type Vector = __m256;
        type Narrow = Self;
        const LANES: usize = 8;

        #[inline(always)]
        fn narrow(self) -> Self {
            self
        }
        #[inline(always)]
        unsafe fn load(self, from: *const f32) -> __m256 {
            // SAFETY: see the head of the file that uses this.
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32, value: __m256) {
            // SAFETY: see the head of the file that uses this.
            unsafe { _mm256_storeu_ps(to, value) }
        }
        #[inline(always)]
        fn zero(self) -> __m256 {
            // SAFETY: see the head of the file that uses this.
            unsafe { _mm256_setzero_ps() }
        }
        #[inline(always)]
        fn splat(self, value: f32) -> __m256 {
            // SAFETY: see the head of the file that uses this.
            unsafe { _mm256_set1_ps(value) }
        }
        #[inline(always)]
        fn add(self, a: __m256, b: __m256) -> __m256 {
            // SAFETY: see the head of the file that uses this.
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        fn sub(self, a: __m256, b: __m256) -> __m256 {
            // SAFETY: see the head of the file that uses this.
            unsafe { _mm256_sub_ps(a, b) }
        }
        #[inline(always)]
        fn mul(self, a: __m256, b: __m256) -> __m256 {
            // SAFETY: see the head of the file that uses this.
            unsafe { _mm256_mul_ps(a, b) }
        }
        #[inline(always)]
        fn div(self, a: __m256, b: __m256) -> __m256 {
            // SAFETY: see the head of the file that uses this.
            unsafe { _mm256_div_ps(a, b) }
        }
        #[inline(always)]
        fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
            // SAFETY: see the head of the file that uses this.
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        fn max(self, a: __m256, b: __m256) -> __m256 {
            // SAFETY: see the head of the file that uses this.
            unsafe { _mm256_max_ps(a, b) }
        }
    };
}

pub(super) use eight_lanes;
