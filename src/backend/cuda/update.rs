//! The table of one update on a device: which parameters of a replica a step moves.

use crate::backend::unsampled::started_but_unused;
use crate::network::{Model, ParameterRef};
use crate::ops::sgd::cuda::SgdChunk;
use crate::ops::sgd::{Sgd, Unsampled};

/// What an update moves in a replica whose step used the copies `used` (ascending): these, and with [`Unsampled::Decay`] the shared ones that had
/// a gradient before. `started` is that of the replica's state, and is brought up to date. Banks of replicas stand one after another.
///
/// # Panics
/// If the banks have 2^32 elements or more.
pub fn chunks(sgd: &Sgd, model: &Model, started: &mut [bool], used: &[ParameterRef], replica: u32) -> Vec<SgdChunk> {
    let offset = replica as usize * model.layout.len();
    let place = |reference: ParameterRef| {
        let range = model.layout.range(reference.parameter, reference.copy);
        offset + range.start..offset + range.end
    };
    let mut table = Vec::new();
    if sgd.unsampled == Unsampled::Decay {
        for reference in started_but_unused(model, started, |reference| used.binary_search(&reference).is_ok()) {
            table.extend(SgdChunk::of_parameter(place(reference), replica, false, false));
        }
    }
    for &reference in used {
        let was_started = std::mem::replace(&mut started[model.layout.number(reference)], true);
        table.extend(SgdChunk::of_parameter(place(reference), replica, true, !was_started));
    }
    table
}
