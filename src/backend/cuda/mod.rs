//! The plan on a device. So far: what an update moves. Stages follow.

pub mod update;
