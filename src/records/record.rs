//! A row type and its columns, stated once.

use super::cell::Column;
use arrow_array::ArrayRef;

/// A row of a table. Implemented by the macro `record!` alone.
pub trait Record: Sized {
    /// In the order of the fields.
    fn columns() -> Vec<Column>;

    /// One array a column.
    ///
    /// # Errors
    ///
    /// The name of a column with a number that Parquet's signed integers cannot hold.
    fn arrays(rows: &[Self]) -> Result<Vec<ArrayRef>, &'static str>;

    /// The rows of one array a column; `None` if an array is of another type, too short, or null where no null may be.
    fn from_arrays(rows: usize, arrays: &[ArrayRef]) -> Option<Vec<Self>>;

    /// Appends the row to `bytes`.
    fn encode(&self, bytes: &mut Vec<u8>);

    /// Takes one row off the front of `bytes`; `None` if they are none.
    fn decode(bytes: &mut &[u8]) -> Option<Self>;
}

/// Declares a row type: a struct whose fields are the columns, each of a type that implements [`Cell`](super::Cell).
macro_rules! record {
    (
        $(#[$about:meta])*
        pub struct $name:ident { $($(#[$about_field:meta])* pub $field:ident: $cell:ty,)* }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $($(#[$about_field])* pub $field: $cell,)* }

        impl $crate::records::Record for $name {
            fn columns() -> Vec<$crate::records::Column> {
                vec![$($crate::records::Column::of::<$cell>(stringify!($field)),)*]
            }

            fn arrays(rows: &[Self]) -> Result<Vec<arrow_array::ArrayRef>, &'static str> {
                Ok(vec![$(
                    <$cell as $crate::records::Cell>::array(rows.iter().map(|row| &row.$field))
                        .ok_or(stringify!($field))?,
                )*])
            }

            fn from_arrays(rows: usize, arrays: &[arrow_array::ArrayRef]) -> Option<Vec<Self>> {
                let mut arrays = arrays.iter();
                $(let mut $field = <$cell as $crate::records::Cell>::values(arrays.next()?)?.into_iter();)*
                (0..rows).map(|_| Some(Self { $($field: $field.next()?,)* })).collect()
            }

            fn encode(&self, bytes: &mut Vec<u8>) {
                $($crate::records::Cell::encode(&self.$field, bytes);)*
            }

            fn decode(bytes: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: $crate::records::Cell::decode(bytes)?,)* })
            }
        }
    };
}
pub(crate) use record;
