//! Eight lanes as an array: correct on any machine, vectorised as far as the compiler sees fit.

use super::Simd;

#[derive(Clone, Copy)]
pub struct Portable;

type Eight = [f32; 8];

#[inline(always)]
fn zip(a: Eight, b: Eight, f: impl Fn(f32, f32) -> f32) -> Eight {
    std::array::from_fn(|i| f(a[i], b[i]))
}

#[inline(always)]
fn compare(a: Eight, b: Eight, f: impl Fn(f32, f32) -> bool) -> [bool; 8] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Simd for Portable {
    type Vector = Eight;
    type Mask = [bool; 8];
    type Narrow = Self;
    const LANES: usize = 8;
    const REGISTERS: usize = 16;

    #[inline(always)]
    fn narrow(self) -> Self {
        self
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Eight {
        // SAFETY: the caller vouches for eight numbers; arrays of f32 need no more alignment than f32.
        unsafe { from.cast::<Eight>().read() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, value: Eight) {
        // SAFETY: as in `load`.
        unsafe { to.cast::<Eight>().write(value) }
    }
    #[inline(always)]
    fn zero(self) -> Eight {
        [0.0; 8]
    }
    #[inline(always)]
    fn splat(self, value: f32) -> Eight {
        [value; 8]
    }
    #[inline(always)]
    fn add(self, a: Eight, b: Eight) -> Eight {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Eight, b: Eight) -> Eight {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Eight, b: Eight) -> Eight {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Eight, b: Eight) -> Eight {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn sqrt(self, a: Eight) -> Eight {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    fn fma(self, a: Eight, b: Eight, c: Eight) -> Eight {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn max(self, a: Eight, b: Eight) -> Eight {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn greater(self, a: Eight, b: Eight) -> [bool; 8] {
        compare(a, b, |a, b| a > b)
    }
    #[inline(always)]
    fn equal(self, a: Eight, b: Eight) -> [bool; 8] {
        compare(a, b, |a, b| a == b)
    }
    #[inline(always)]
    fn unordered(self, a: Eight, b: Eight) -> [bool; 8] {
        compare(a, b, |a, b| a.is_nan() || b.is_nan())
    }
    #[inline(always)]
    fn or(self, a: [bool; 8], b: [bool; 8]) -> [bool; 8] {
        std::array::from_fn(|i| a[i] || b[i])
    }
    #[inline(always)]
    fn any(self, mask: [bool; 8]) -> bool {
        mask.contains(&true)
    }
    #[inline(always)]
    fn select(self, mask: [bool; 8], yes: Eight, no: Eight) -> Eight {
        std::array::from_fn(|i| if mask[i] { yes[i] } else { no[i] })
    }
}
