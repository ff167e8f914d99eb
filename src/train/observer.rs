//! Who hears of a run while it goes on.

/// Hears of a run while it goes on.
pub trait Observer {
    /// After every step: steps done and in all, images since this process began, mean loss of the step.
    fn step(&mut self, _done: u64, _all: u64, _images: u64, _loss: f64) {}

    /// While children are evaluated: passes ([`super::Evaluator::passes`]) done and in all.
    fn evaluation(&mut self, _done: u64, _all: u64) {}

    /// Of a search, after every epoch and at the end: steps done, and of every replica the child that its architecture parameters make.
    fn derived(&mut self, _done: u64, _children: &[String]) {}
}

/// Hears nothing.
impl Observer for () {}
