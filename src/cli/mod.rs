//! Arguments and exit codes; one file per subcommand.

pub mod space;
