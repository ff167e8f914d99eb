//! The instruction sets, and which of them this processor has.

use super::{Kernel, portable::Portable};

/// An instruction set. Results of two levels differ in rounding; results of one level are the same on every processor that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Eight numbers at a time without any special instruction.
    Portable,
    /// AVX2 and FMA: eight numbers at a time.
    Avx2,
    /// AVX-512 (F, DQ, VL): sixteen numbers at a time.
    Avx512,
}

/// A SIMD level that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LevelError {
    #[error("no SIMD level is called `{0}`; choose portable, avx2 or avx512")]
    Unknown(String),
    #[error("this processor has no {0}; choose one of: {1}")]
    Unavailable(Level, String),
}

impl Level {
    const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// The widest level of this processor.
    pub fn detect() -> Self {
        Self::available().last().copied().unwrap_or(Self::Portable)
    }

    /// Every level of this processor, narrowest first.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|level| level.is_available()).collect()
    }

    /// This level, or an error that lists the available ones.
    pub fn require(self) -> Result<Self, LevelError> {
        if self.is_available() {
            return Ok(self);
        }
        let names: Vec<String> = Self::available().iter().map(Self::to_string).collect();
        Err(LevelError::Unavailable(self, names.join(", ")))
    }

    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub fn is_available(self) -> bool {
        self == Self::Portable
    }

    /// Numbers in a vector of this level.
    pub const fn lanes(self) -> usize {
        match self {
            Self::Portable | Self::Avx2 => 8,
            Self::Avx512 => 16,
        }
    }

    /// Runs the kernel with this level's instructions.
    ///
    /// # Panics
    /// If the processor does not have them: levels from `detect`, `available` and `require` are safe.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        assert!(self.is_available(), "this processor has no {self}");
        match self {
            Self::Portable => kernel.run(Portable),
            // SAFETY: the processor has the instructions, as just asserted.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { super::avx2::run(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { super::avx512::run(kernel) },
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => kernel.run(Portable),
        }
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        })
    }
}

impl std::str::FromStr for Level {
    type Err = LevelError;
    fn from_str(name: &str) -> Result<Self, LevelError> {
        Self::ALL
            .into_iter()
            .find(|level| level.to_string() == name)
            .ok_or_else(|| LevelError::Unknown(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_reads_back_its_name_and_other_names_are_errors() {
        for level in Level::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        assert_eq!("sse".parse::<Level>(), Err(LevelError::Unknown("sse".to_owned())));
    }

    #[test]
    fn the_detected_level_is_available_and_portable_always_is() {
        assert!(Level::detect().require().is_ok());
        assert!(Level::available().contains(&Level::Portable));
    }
}
