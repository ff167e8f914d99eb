//! What the emulator finds in a kernel.

/// Kinds of faults. The numbers are those of `FaultKind` in emulator/runtime/fault.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// An access beyond the end of a buffer, or outside every buffer.
    OutOfBounds = 1,
    /// An access whose size does not divide its address.
    Misaligned,
    /// A read of memory that nothing has written.
    Uninitialized,
    /// Two accesses, one of them a write, that nothing orders.
    Race,
    /// A barrier that not every thread reaches, or different barriers at once.
    DivergentBarrier,
    /// Lanes of a warp in different collectives, or one that has left.
    DivergentCollective,
    /// A copy by cp.async that is used, or left behind, before it was waited for.
    UnwaitedCopy,
    /// A launch that no device runs.
    BadLaunch,
}

impl FaultKind {
    const ALL: [Self; 8] = [
        Self::OutOfBounds,
        Self::Misaligned,
        Self::Uninitialized,
        Self::Race,
        Self::DivergentBarrier,
        Self::DivergentCollective,
        Self::UnwaitedCopy,
        Self::BadLaunch,
    ];

    /// The kind of this number.
    pub(super) fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == number)
    }

    /// What is wrong, in words.
    fn words(self) -> &'static str {
        match self {
            Self::OutOfBounds => "an access out of bounds",
            Self::Misaligned => "a misaligned access",
            Self::Uninitialized => "a read of unwritten memory",
            Self::Race => "a race",
            Self::DivergentBarrier => "a divergent barrier",
            Self::DivergentCollective => "a divergent warp collective",
            Self::UnwaitedCopy => "an asynchronous copy that was not waited for",
            Self::BadLaunch => "an impossible launch",
        }
    }
}

/// One thread of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub block: [u32; 3],
    pub thread: [u32; 3],
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "block {:?}, thread {:?}", self.block, self.thread)
    }
}

/// An access to memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultAccess {
    /// Name of the buffer, `shared memory`, or empty outside every buffer.
    pub buffer: String,
    /// In bytes, from the buffer's start.
    pub offset: u64,
    pub bytes: u32,
    pub address: u64,
}

/// The first fault of a launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kernel: String,
    pub kind: FaultKind,
    /// Which thread it was found in.
    pub at: Place,
    /// The other thread of a race, a barrier or a collective.
    pub other: Option<Place>,
    /// Of a fault in memory.
    pub access: Option<FaultAccess>,
    /// Source line of a barrier or collective.
    pub line: Option<u32>,
    /// What exactly.
    pub detail: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in {}: {}", self.kind.words(), self.at, self.detail)?;
        if let Some(FaultAccess { buffer, offset, bytes, address }) = &self.access {
            match buffer.as_str() {
                "" => write!(f, " ({bytes} bytes at address {address:#x})")?,
                name => write!(f, " ({bytes} bytes at byte {offset} of {name}, address {address:#x})")?,
            }
        }
        if let Some(line) = self.line {
            write!(f, " (source line {line})")?;
        }
        match self.other {
            Some(other) => write!(f, ", against {other}"),
            None => Ok(()),
        }
    }
}
