//! Sequences of commands that come again: what a device keeps of them.

use super::{Command, DeviceError};

/// Sequences that are remembered. Those that came once are forgotten first, so that an evaluation of many children, each part of it once, leaves what
/// was made of training steps; of them, and of the others, the one that was not seen for longest.
const MOST: usize = 32;

/// What was made (a `G`) of sequences that came at least twice.
pub struct Repeats<G> {
    /// The one seen last comes last.
    known: Vec<Known<G>>,
}

struct Known<G> {
    commands: Vec<Command>,
    made: Option<G>,
}

impl<G> Default for Repeats<G> {
    fn default() -> Self {
        Self { known: Vec::new() }
    }
}

impl<G> Repeats<G> {
    /// What was made of this sequence; `make` makes it where the sequence comes for the second time. None where it is new: making pays only if
    /// the sequence comes again.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn of(
        &mut self,
        commands: &[Command],
        make: impl FnOnce() -> Result<G, DeviceError>,
    ) -> Result<Option<&G>, DeviceError> {
        let Some(found) = self.known.iter().position(|known| known.commands == commands) else {
            if self.known.len() == MOST {
                let once = self.known.iter().position(|known| known.made.is_none());
                self.known.remove(once.unwrap_or(0));
            }
            self.known.push(Known { commands: commands.to_vec(), made: None });
            return Ok(None);
        };
        let mut known = self.known.remove(found);
        if known.made.is_none() {
            known.made = Some(make()?);
        }
        self.known.push(known);
        Ok(self.known.last().and_then(|known| known.made.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Launch, Pointer};

    fn sequence(blocks: u32) -> Vec<Command> {
        vec![Command::Launch { launch: Launch::new("kernel", blocks, 32), arguments: vec![Pointer::NULL] }]
    }

    #[test]
    fn a_sequence_is_made_when_it_comes_again() {
        let mut repeats = Repeats::default();
        let mut made = 0;
        let mut of = |blocks: u32| {
            let make = || {
                made += 1;
                Ok(blocks)
            };
            repeats.of(&sequence(blocks), make).expect("made").copied()
        };
        assert_eq!([1, 1, 2, 1, 2, 2].map(&mut of), [None, Some(1), None, Some(1), Some(2), Some(2)]);
        // However many come once, what was made stays.
        (10..10 + 2 * MOST as u32).for_each(|blocks| assert_eq!(of(blocks), None));
        assert_eq!([1, 10].map(&mut of), [Some(1), None]);
        // Others that come again push it out.
        (100..100 + MOST as u32).for_each(|blocks| assert_eq!([blocks; 2].map(&mut of), [None, Some(blocks)]));
        assert_eq!(of(1), None);
        assert_eq!(made, 2 + MOST as u32);
    }
}
