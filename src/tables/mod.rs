//! Tables of accuracies from any tool: CSV or Parquet, a row a child or a column a child, one record or many; and their join on the child.

mod accuracies;
mod csv;
mod error;
mod file;
mod join;
mod labels;
mod layout;
mod location;
mod parquet;
mod sheet;

pub use accuracies::{Accuracies, ChildName, Group, Record, Run};
pub use error::TableError;
pub use join::{JoinCounts, Joined, JoinedRun, Truth, join};
pub use layout::{Selection, Side};
pub use location::Location;
