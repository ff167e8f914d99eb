//! Memory and order of a graph on a device: *how* it runs.

use super::Order;
use super::graph::{Graph, Stage, StageId, ValueId};
use crate::tensor::{Shape, padded_channels};

/// Images of a fixed reduction chunk for a stage of this output: a constant of the problem, so that sums never depend on the
/// machine. About 4,096 pixels, at least one image and at most eight.
pub const fn chunk_images(output: Shape) -> usize {
    const PIXELS: usize = 4096;
    const MOST: usize = 8;
    let images = PIXELS / output.pixels();
    if images < 1 {
        1
    } else if images > MOST {
        MOST
    } else {
        images
    }
}

/// A place in the arena, in elements of one image; multiply by the images of the lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub offset: usize,
    pub len: usize,
}

/// Slots of a graph's values, of their gradients, and of what stages need for themselves. Two that live at the same time never overlap.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// `None` for the image, which the lane brings.
    pub values: Vec<Option<Slot>>,
    /// Empty in evaluation; `None` for the image, and where no stage with a backward pass reads the value.
    pub gradients: Vec<Option<Slot>>,
    /// Of the stages whose backward pass needs some.
    pub scratch: Vec<Option<Slot>>,
    /// Arena elements an image.
    pub elements_per_image: usize,
    /// The stage whose backward writes a value's gradient first (the last that reads the value), in training.
    pub first_writer: Vec<Option<StageId>>,
    /// The stage whose backward writes it last, and so emits its sums.
    pub last_writer: Vec<Option<StageId>>,
}

/// Something that needs memory from one moment to another, both included.
struct Interval {
    first: usize,
    last: usize,
    len: usize,
}

/// What an interval is for.
enum Owner {
    Value(ValueId),
    Gradient(ValueId),
    Scratch(StageId),
}

impl Schedule {
    /// A value lives from its producer until its last reader has run, in training until its producer's backward; a gradient from its
    /// first writer to its producer's backward.
    pub fn new(graph: &Graph, order: &Order) -> Self {
        let training = !order.backward.is_empty();
        let values = graph.values.len();
        let (mut first_writer, mut last_writer) = (vec![None; values], vec![None; values]);
        let mut ends = vec![None; values];
        for (id, stage) in graph.stages.iter().enumerate() {
            for &value in &stage.inputs {
                ends[value] = ends[value].max(Some(order.forward[id]));
                if training && order.backward[id].is_some() {
                    last_writer[value].get_or_insert(id);
                    first_writer[value] = Some(id);
                }
            }
        }
        let mut intervals = Vec::new();
        let mut owners = Vec::new();
        let mut add = |owner: Owner, first: usize, last: usize, len: usize| {
            intervals.push(Interval { first, last, len });
            owners.push(owner);
        };
        for (id, stage) in graph.stages.iter().enumerate() {
            let backward = order.backward.get(id).copied().flatten();
            if let (Some(time), true) = (backward, order.scratch[id] > 0) {
                add(Owner::Scratch(id), time, time, order.scratch[id]);
            }
            let Some(value) = stage.output else { continue };
            let shape = graph.values[value].shape;
            let len = shape.pixels() * padded_channels(shape.channels);
            let made = order.forward[id];
            let last = backward.unwrap_or(made).max(ends[value].unwrap_or(made));
            add(Owner::Value(value), made, last, len);
            if let Some(last) = backward {
                let first = first_writer[value].and_then(|stage| order.backward[stage]).unwrap_or(last);
                add(Owner::Gradient(value), first, last, len);
            }
        }
        let (slots, elements_per_image) = place(&intervals);
        let mut schedule = Self {
            values: vec![None; values],
            gradients: vec![None; if training { values } else { 0 }],
            scratch: vec![None; graph.stages.len()],
            elements_per_image,
            first_writer,
            last_writer,
        };
        for (owner, slot) in owners.into_iter().zip(slots) {
            match owner {
                Owner::Value(value) => schedule.values[value] = Some(slot),
                Owner::Gradient(value) => schedule.gradients[value] = Some(slot),
                Owner::Scratch(stage) => schedule.scratch[stage] = Some(slot),
            }
        }
        schedule
    }

    /// Whether the backward pass of a stage is the last to add to the gradient of its input number `term`.
    pub fn finishes(&self, id: StageId, stage: &Stage, term: usize) -> bool {
        let input = stage.inputs[term];
        self.last_writer[input] == Some(id) && !stage.inputs[term + 1..].contains(&input)
    }

    /// Whether the backward pass of a stage adds its gradient of input number `term` to what is there.
    pub fn accumulates(&self, id: StageId, stage: &Stage, term: usize) -> bool {
        let input = stage.inputs[term];
        self.first_writer[input] != Some(id) || stage.inputs[..term].contains(&input)
    }
}

/// First fit in order of first use.
fn place(intervals: &[Interval]) -> (Vec<Slot>, usize) {
    let mut order: Vec<usize> = (0..intervals.len()).collect();
    order.sort_by_key(|i| intervals[*i].first);
    let mut slots = vec![Slot { offset: 0, len: 0 }; intervals.len()];
    let mut live: Vec<usize> = Vec::new();
    let mut end = 0;
    for index in order {
        let interval = &intervals[index];
        live.retain(|other| intervals[*other].last >= interval.first);
        live.sort_by_key(|other| slots[*other].offset);
        let mut offset = 0;
        for other in &live {
            if slots[*other].offset >= offset + interval.len {
                break;
            }
            offset = offset.max(slots[*other].offset + slots[*other].len);
        }
        slots[index] = Slot { offset, len: interval.len };
        end = end.max(offset + interval.len);
        live.push(index);
    }
    (slots, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_that_live_together_never_overlap() {
        let intervals: Vec<Interval> = (0..40)
            .map(|i| Interval { first: i * 7 % 23, last: i * 7 % 23 + i * 5 % 11, len: 1 + i * 3 % 5 })
            .collect();
        let (slots, end) = place(&intervals);
        for (i, a) in intervals.iter().enumerate() {
            assert!(slots[i].offset + slots[i].len <= end);
            for (j, b) in intervals.iter().enumerate().skip(i + 1) {
                let together = a.first <= b.last && b.first <= a.last;
                let apart = slots[i].offset + slots[i].len <= slots[j].offset
                    || slots[j].offset + slots[j].len <= slots[i].offset;
                assert!(!together || apart, "{i} and {j} overlap");
            }
        }
        let all: usize = intervals.iter().map(|i| i.len).sum();
        assert!(end < all, "no slot was used twice");
    }

    #[test]
    fn a_chunk_is_a_constant_of_the_shape() {
        assert_eq!(chunk_images(Shape::new(32, 32, 16)), 4);
        assert_eq!(chunk_images(Shape::new(8, 8, 8)), 8);
        assert_eq!(chunk_images(Shape::new(224, 224, 8)), 1);
    }
}
