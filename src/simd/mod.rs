//! Vector arithmetic at run-time selected widths: one generic kernel per operation, compiled once per instruction set.
//!
//! A kernel is a value that implements [`Kernel`]; [`Level::run`] compiles its body for each instruction set and calls the one asked for. Kernel bodies, and all
//! they call, are `#[inline(always)]`: only what is inlined into the wrapper is compiled with its target features.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_narrow;
mod level;
mod portable;
mod scratch;

pub use level::{Level, LevelError};
pub use scratch::Scratch;

/// Vectors of `LANES` numbers of type `f32`. A value of the implementing type proves that the processor has the instructions.
pub trait Simd: Copy {
    type Vector: Copy;
    type Mask: Copy;
    /// Eight lanes of the same instruction set, for channel counts that are no multiple of `LANES`.
    type Narrow: Simd;
    /// Numbers in a vector: 8 or 16.
    const LANES: usize;
    /// Vector registers of the instruction set: how large a block of accumulators may be.
    const REGISTERS: usize;

    fn narrow(self) -> Self::Narrow;
    /// # Safety
    /// `LANES` numbers at `from` are readable.
    unsafe fn load(self, from: *const f32) -> Self::Vector;
    /// # Safety
    /// `LANES` numbers at `to` are writable.
    unsafe fn store(self, to: *mut f32, value: Self::Vector);
    fn zero(self) -> Self::Vector;
    fn splat(self, value: f32) -> Self::Vector;
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn div(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// Correctly rounded, as division is.
    fn sqrt(self, a: Self::Vector) -> Self::Vector;
    /// `a * b + c`; one rounding, except on the portable level.
    fn fma(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `a > b ? a : b`: the second operand where they are equal or one is not a number.
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn greater(self, a: Self::Vector, b: Self::Vector) -> Self::Mask;
    fn equal(self, a: Self::Vector, b: Self::Vector) -> Self::Mask;
    /// True where `a` or `b` is not a number.
    fn unordered(self, a: Self::Vector, b: Self::Vector) -> Self::Mask;
    fn or(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;
    fn any(self, mask: Self::Mask) -> bool;
    fn select(self, mask: Self::Mask, yes: Self::Vector, no: Self::Vector) -> Self::Vector;
}

/// A computation written once for every instruction set.
pub trait Kernel {
    type Output;
    /// The body; implementations are `#[inline(always)]`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}
