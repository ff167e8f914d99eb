//! One contiguous buffer with every parameter of one replica.

use super::{Copies, Network, ParameterId};
use crate::network::ParameterRef;
use crate::tensor::{Buffer, Real};

/// Elements to which every parameter is aligned: 64 bytes of f32.
const ALIGNMENT: usize = 16;

/// Offset of every copy of every parameter.
#[derive(Clone, Debug)]
pub struct BankLayout {
    places: Vec<Span>,
    len: usize,
    /// Number of the first copy of every parameter.
    first_number: Vec<usize>,
    numbers: usize,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    len: usize,
    stride: usize,
}

impl BankLayout {
    pub fn new(network: &Network, copies: &Copies) -> Self {
        let mut start = 0;
        let places = (network.parameters.iter().enumerate())
            .map(|(id, parameter)| {
                let len = parameter.layout.bank_len();
                let span = Span { start, len, stride: len.next_multiple_of(ALIGNMENT) };
                start += span.stride * copies.count(id) as usize;
                span
            })
            .collect();
        let mut numbers = 0;
        let first_number = (0..network.parameters.len())
            .map(|id| {
                let first = numbers;
                numbers += copies.count(id) as usize;
                first
            })
            .collect();
        Self { places, len: start, first_number, numbers }
    }

    /// A dense number for every copy of every parameter.
    pub fn number(&self, reference: ParameterRef) -> usize {
        self.first_number[reference.parameter] + reference.copy as usize
    }

    /// How many copies there are in all.
    pub fn numbers(&self) -> usize {
        self.numbers
    }

    /// Elements of the bank.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Where a copy of a parameter lies.
    pub fn range(&self, parameter: ParameterId, copy: u32) -> std::ops::Range<usize> {
        let span = self.places[parameter];
        let start = span.start + copy as usize * span.stride;
        start..start + span.len
    }
}

/// Values of one kind (weights and buffers, or momentum) of one replica.
#[derive(Clone)]
pub struct Bank<T> {
    pub layout: std::sync::Arc<BankLayout>,
    pub values: Buffer<T>,
}

impl<T: Real> Bank<T> {
    pub fn zeroed(layout: std::sync::Arc<BankLayout>) -> Self {
        let values = Buffer::zeroed(layout.len());
        Self { layout, values }
    }

    pub fn get(&self, parameter: ParameterId, copy: u32) -> &[T] {
        &self.values[self.layout.range(parameter, copy)]
    }

    pub fn get_mut(&mut self, parameter: ParameterId, copy: u32) -> &mut [T] {
        let range = self.layout.range(parameter, copy);
        &mut self.values[range]
    }

    /// The same values in another precision.
    pub fn cast<U: Real>(&self) -> Bank<U> {
        let mut bank = Bank::zeroed(self.layout.clone());
        bank.values.iter_mut().zip(self.values.iter()).for_each(|(to, from)| *to = U::from_f64(from.to_f64()));
        bank
    }
}
