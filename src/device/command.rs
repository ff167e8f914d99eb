//! Work of a device, written down so that it can be done again.

use super::{Launch, Pointer};

/// One piece of work. Pieces of a sequence run one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// A kernel whose arguments are all pointers.
    Launch { launch: Launch, arguments: Vec<Pointer> },
    /// Sets bytes.
    Fill { to: Pointer, byte: u8, bytes: usize },
}
