//! The types that a column can have, in Parquet and in a journal.
//!
//! Integers are signed 64-bit in Parquet, whatever they are here: differences of unsigned columns wrap around in pandas and NumPy.

use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, StringArray};
use arrow_schema::{DataType, Field};
use std::sync::Arc;

/// Name and type of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: &'static str,
    pub data_type: DataType,
    /// Type in a journal's header.
    pub journal_type: &'static str,
    pub nullable: bool,
}

impl Column {
    pub fn of<C: Cell>(name: &'static str) -> Self {
        Self { name, data_type: C::DATA_TYPE, journal_type: C::JOURNAL_TYPE, nullable: C::NULLABLE }
    }

    pub(super) fn field(&self) -> Field {
        Field::new(self.name, self.data_type.clone(), self.nullable)
    }
}

/// A value in a column.
pub trait Cell: Sized {
    const DATA_TYPE: DataType;
    const JOURNAL_TYPE: &'static str;
    const NULLABLE: bool = false;

    /// The column; `None` if a value does not fit [`Self::DATA_TYPE`].
    fn array<'a>(values: impl Iterator<Item = &'a Self>) -> Option<ArrayRef>
    where
        Self: 'a;

    /// The values of a column; `None` if it has another type, a null that may not be, or a value that does not fit.
    fn values(array: &ArrayRef) -> Option<Vec<Self>>;

    /// Appends the value to `bytes`.
    fn encode(&self, bytes: &mut Vec<u8>);

    /// Takes one value off the front of `bytes`.
    fn decode(bytes: &mut &[u8]) -> Option<Self>;
}

macro_rules! integer_cell {
    ($integer:ty) => {
        impl Cell for $integer {
            const DATA_TYPE: DataType = DataType::Int64;
            const JOURNAL_TYPE: &'static str = stringify!($integer);

            fn array<'a>(values: impl Iterator<Item = &'a Self>) -> Option<ArrayRef> {
                let values: Option<Vec<i64>> = values.map(|&value| i64::try_from(value).ok()).collect();
                Some(Arc::new(Int64Array::from(values?)))
            }

            fn values(array: &ArrayRef) -> Option<Vec<Self>> {
                without_nulls::<Int64Array>(array)?.values().iter().map(|&value| value.try_into().ok()).collect()
            }

            fn encode(&self, bytes: &mut Vec<u8>) {
                bytes.extend(self.to_le_bytes());
            }

            fn decode(bytes: &mut &[u8]) -> Option<Self> {
                take_array(bytes).map(Self::from_le_bytes)
            }
        }
    };
}
integer_cell!(u32);
integer_cell!(u64);

impl Cell for f64 {
    const DATA_TYPE: DataType = DataType::Float64;
    const JOURNAL_TYPE: &'static str = "f64";

    fn array<'a>(values: impl Iterator<Item = &'a Self>) -> Option<ArrayRef> {
        Some(Arc::new(values.copied().collect::<Float64Array>()))
    }

    fn values(array: &ArrayRef) -> Option<Vec<Self>> {
        Some(without_nulls::<Float64Array>(array)?.values().to_vec())
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_le_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        take_array(bytes).map(Self::from_le_bytes)
    }
}

impl Cell for String {
    const DATA_TYPE: DataType = DataType::Utf8;
    const JOURNAL_TYPE: &'static str = "text";

    fn array<'a>(values: impl Iterator<Item = &'a Self>) -> Option<ArrayRef> {
        Some(Arc::new(values.map(|text| Some(text.as_str())).collect::<StringArray>()))
    }

    fn values(array: &ArrayRef) -> Option<Vec<Self>> {
        without_nulls::<StringArray>(array)?.iter().map(|text| text.map(str::to_string)).collect()
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        (self.len() as u64).encode(bytes);
        bytes.extend(self.as_bytes());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let length = usize::try_from(u64::decode(bytes)?).ok()?;
        let (text, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        Self::from_utf8(text.to_vec()).ok()
    }
}

impl Cell for Option<f64> {
    const DATA_TYPE: DataType = DataType::Float64;
    const JOURNAL_TYPE: &'static str = "f64?";
    const NULLABLE: bool = true;

    fn array<'a>(values: impl Iterator<Item = &'a Self>) -> Option<ArrayRef> {
        Some(Arc::new(values.copied().collect::<Float64Array>()))
    }

    fn values(array: &ArrayRef) -> Option<Vec<Self>> {
        Some(array.as_any().downcast_ref::<Float64Array>()?.iter().collect())
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        encode_optional(self, bytes);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        decode_optional(bytes)
    }
}

impl Cell for Option<String> {
    const DATA_TYPE: DataType = DataType::Utf8;
    const JOURNAL_TYPE: &'static str = "text?";
    const NULLABLE: bool = true;

    fn array<'a>(values: impl Iterator<Item = &'a Self>) -> Option<ArrayRef> {
        Some(Arc::new(values.map(Option::as_deref).collect::<StringArray>()))
    }

    fn values(array: &ArrayRef) -> Option<Vec<Self>> {
        let array = array.as_any().downcast_ref::<StringArray>()?;
        Some(array.iter().map(|text| text.map(str::to_string)).collect())
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        encode_optional(self, bytes);
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        decode_optional(bytes)
    }
}

/// A byte that says whether there is a value, and the value.
fn encode_optional<C: Cell>(value: &Option<C>, bytes: &mut Vec<u8>) {
    bytes.push(u8::from(value.is_some()));
    value.iter().for_each(|value| value.encode(bytes));
}

fn decode_optional<C: Cell>(bytes: &mut &[u8]) -> Option<Option<C>> {
    match take_array(bytes)? {
        [0] => Some(None),
        [1] => C::decode(bytes).map(Some),
        _ => None,
    }
}

fn without_nulls<A: Array + 'static>(array: &ArrayRef) -> Option<&A> {
    array.as_any().downcast_ref::<A>().filter(|array| array.null_count() == 0)
}

fn take_array<const BYTES: usize>(bytes: &mut &[u8]) -> Option<[u8; BYTES]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}
