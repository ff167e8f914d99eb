//! Arithmetic of an operation.

use super::Operation;

impl Operation {
    /// FLOPs of the forward pass of one image: two a multiply-add, one a tap of a pool.
    pub fn flops(&self) -> u64 {
        let (input, output) = (self.input(), self.output());
        let taps = self.window().taps();
        let multiply_adds = match self {
            Self::Convolution(_) => taps * input.channels * output.channels,
            Self::DepthwiseSeparable(_) => taps * input.channels + input.channels * output.channels,
            Self::Pool(_) => return (output.pixels() * output.channels * taps) as u64,
        };
        2 * (output.pixels() * multiply_adds) as u64
    }
}
