//! What a step moves without having used it.

use crate::network::{Model, ParameterRef};

/// Shared parameters that had a gradient before, but none in this step: what `Unsampled::Decay` moves beside the used ones. Private copies stay where
/// none of their children is in the step.
pub fn started_but_unused(
    model: &Model,
    started: &[bool],
    is_used: impl Fn(ParameterRef) -> bool,
) -> Vec<ParameterRef> {
    let shared = (0..model.network.parameters.len()).filter(|&parameter| model.copies.is_shared(parameter));
    let references = shared.map(|parameter| ParameterRef { parameter, copy: 0 });
    references.filter(|&reference| started[model.layout.number(reference)] && !is_used(reference)).collect()
}
