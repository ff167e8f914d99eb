//! The order in which a cycle trains its children.

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A rule, or the list itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ChildOrder {
    /// All children as the space counts them.
    #[default]
    Lexicographic,
    /// All children in one random order.
    Permutation,
    /// All children in a new random order every round.
    Reshuffled,
    /// These children, in this order.
    List(Vec<String>),
}

const RULES: [&str; 3] = ["lexicographic", "permutation", "reshuffled"];

impl Serialize for ChildOrder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Lexicographic => serializer.serialize_str(RULES[0]),
            Self::Permutation => serializer.serialize_str(RULES[1]),
            Self::Reshuffled => serializer.serialize_str(RULES[2]),
            Self::List(children) => children.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ChildOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OrderVisitor)
    }
}

struct OrderVisitor;

impl<'de> Visitor<'de> for OrderVisitor {
    type Value = ChildOrder;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("`lexicographic`, `permutation`, `reshuffled` or a list of children")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<ChildOrder, E> {
        match text {
            "lexicographic" => Ok(ChildOrder::Lexicographic),
            "permutation" => Ok(ChildOrder::Permutation),
            "reshuffled" => Ok(ChildOrder::Reshuffled),
            _ => Err(E::unknown_variant(text, &RULES)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ChildOrder, A::Error> {
        let mut children = Vec::new();
        while let Some(child) = list.next_element()? {
            children.push(child);
        }
        Ok(ChildOrder::List(children))
    }
}
