//! What a pass of a CPU kernel works on.

use super::input::Input;
use crate::simd::{Level, Scratch};

/// Some images of a stage's input, and how and where they are worked on.
pub struct Images<'a> {
    pub level: Level,
    pub input: &'a Input<'a>,
    pub count: usize,
    pub scratch: &'a mut Scratch,
}
