//! The command line: one file per subcommand.

pub mod data;
pub mod space;
pub mod weights;
