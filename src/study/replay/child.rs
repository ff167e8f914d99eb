//! Children as a trace names them.

use crate::space::Child;
use crate::train::Setup;

/// A child that the model can compute, from its name.
pub fn held_child(setup: &Setup, name: &str) -> Result<Child, String> {
    let child = setup.space().parse_child(name).map_err(|cause| cause.to_string())?;
    match setup.model.holds(&child) {
        true => Ok(child),
        false => Err(format!("child {name} has no private copy; list it in network.children")),
    }
}
