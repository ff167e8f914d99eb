//! What is made of the list of linear operations.

/// Makes the enum `Operation` and the list of kinds.
macro_rules! operations {
    ($($folder:ident::$Type:ident,)+) => {
        $(pub use $folder::$Type;)+

        /// The linear part of a stage.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operation {
            $($Type($Type),)+
        }

        $(impl From<$Type> for Operation {
            fn from(operation: $Type) -> Self {
                Self::$Type(operation)
            }
        })+

        impl Operation {
            /// What it is to those who compute with it.
            pub const fn linear(&self) -> &dyn Linear {
                match self {
                    $(Self::$Type(operation) => operation,)+
                }
            }
        }

        impl Kind {
            /// Every kind that there is.
            pub fn all() -> impl Iterator<Item = &'static Self> {
                [$($folder::KINDS),+].into_iter().flatten()
            }
        }
    };
}

pub(super) use operations;
