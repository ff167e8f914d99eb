//! Search spaces as data: the file format, children and their encodings.
//!
//! A space is a TOML file ([`model`] is its format); [`Space::load`] reads and validates one. A [`Child`] is one
//! candidate per edge of every searched cell; everything about children is a method of their space.

mod alphas;
mod block;
mod candidate;
mod canonical;
mod cell;
mod child;
mod child_list;
mod encoding;
mod error;
mod layer;
mod load;
mod mixed_radix;
pub mod model;
mod naslib;
pub mod template;
mod untied;
mod validate;

pub use alphas::AlphaTensor;
pub use block::{Block, BlockKind};
pub use child::{Child, Children};
pub use encoding::{ChildError, NoGenotype};
pub use error::{Problem, SpaceError};
pub use model::*;
pub use template::expand;
