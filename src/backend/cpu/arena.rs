//! Memory that lanes take and give back.

use crate::tensor::Buffer;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Arenas that are not in use.
#[derive(Default)]
pub struct Arenas {
    free: Mutex<Vec<Buffer<f32>>>,
}

impl Arenas {
    /// An arena of at least `len` elements; their contents are whatever an earlier lane left. The smallest that fits is taken; if
    /// none does, the largest gives way to a new one.
    pub fn take(&self, len: usize) -> Buffer<f32> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.sort_by_key(|buffer| buffer.len());
        if let Some(index) = free.iter().position(|buffer| buffer.len() >= len) {
            return free.remove(index);
        }
        drop(free.pop());
        drop(free);
        Buffer::zeroed(len)
    }

    pub fn give(&self, arena: Buffer<f32>) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(arena);
    }
}

/// Mutable slices of disjoint ranges, in the order asked for.
///
/// # Panics
/// If two ranges overlap or one lies outside.
pub fn disjoint<'a>(arena: &'a mut [f32], ranges: &[Range<usize>]) -> Vec<&'a mut [f32]> {
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    order.sort_by_key(|index| ranges[*index].start);
    let mut slices: Vec<Option<&mut [f32]>> = ranges.iter().map(|_| None).collect();
    let mut rest = arena;
    let mut start = 0;
    for index in order {
        let range = &ranges[index];
        let (_, tail) = rest.split_at_mut(range.start - start);
        let (slice, tail) = tail.split_at_mut(range.len());
        slices[index] = Some(slice);
        rest = tail;
        start = range.end;
    }
    slices.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_come_in_the_order_asked_for() {
        let mut arena: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let slices = disjoint(&mut arena, &[6..8, 0..2, 4..6]);
        assert_eq!(slices[0], [6.0, 7.0]);
        assert_eq!(slices[1], [0.0, 1.0]);
        assert_eq!(slices[2], [4.0, 5.0]);
    }

    #[test]
    #[should_panic]
    fn overlapping_ranges_are_refused() {
        disjoint(&mut [0.0; 10], &[0..5, 4..6]);
    }

    #[test]
    fn an_arena_is_used_again() {
        let arenas = Arenas::default();
        let first = arenas.take(100);
        let address = first.as_ptr();
        arenas.give(first);
        assert_eq!(arenas.take(50).as_ptr(), address);
    }
}
