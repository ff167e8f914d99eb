//! A candidate as the file writes it.
//!
//! Serde's tagged enums ignore unknown keys beside a unit variant and forget line numbers, so the file is read into
//! this plain table first.

use super::layer::Layer;
use serde::{Deserialize, Serialize};

/// What a candidate computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", try_from = "CandidateTable")]
pub enum Candidate {
    /// Zero: no path.
    Zero,
    /// The input itself at stride 1; at stride 2 these layers.
    Identity {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reduction: Vec<Layer>,
    },
    /// Layers one after the other; names below the edge's prefix.
    Layers { layers: Vec<Layer> },
}

/// What stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CandidateTable {
    kind: Kind,
    layers: Option<Vec<Layer>>,
    reduction: Option<Vec<Layer>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Zero,
    Identity,
    Layers,
}

impl TryFrom<CandidateTable> for Candidate {
    type Error = &'static str;

    fn try_from(table: CandidateTable) -> Result<Self, Self::Error> {
        match (table.kind, table.layers, table.reduction) {
            (Kind::Zero, None, None) => Ok(Self::Zero),
            (Kind::Identity, None, reduction) => Ok(Self::Identity { reduction: reduction.unwrap_or_default() }),
            (Kind::Layers, Some(layers), None) => Ok(Self::Layers { layers }),
            (Kind::Zero, ..) => Err("a candidate of kind `zero` has neither `layers` nor `reduction`"),
            (Kind::Identity, Some(_), _) => Err("a candidate of kind `identity` has no `layers`, only `reduction`"),
            (Kind::Layers, None, _) => Err("a candidate of kind `layers` needs `layers`"),
            (Kind::Layers, Some(_), Some(_)) => Err("a candidate of kind `layers` has no `reduction`"),
        }
    }
}
