//! The reference in bf16 that reads what a device stored, and judges it stage by stage.

use crate::common::rounding::Tally;
use crate::device_numbers::DeviceNumbers;
use crosstalk::backend::reference::numbers::{Bf16, Numbers, Operand, Stored, Sums};
use crosstalk::ops::normalization::reference::moments;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;

/// A mistake to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Operands of a kind are taken as they are.
    NotRounded(Operand),
    /// Operands of a kind are rounded towards zero.
    CutOff(Operand),
    /// What is stored in bf16 is rounded towards zero.
    CutOffStored,
    /// Statistics are those of outputs before they are rounded.
    StatisticsBeforeRounding,
}

pub struct Judge {
    device: DeviceNumbers,
    fault: Option<Fault>,
    /// Outputs before they are rounded.
    outputs: HashMap<usize, Vec<f64>>,
    pub tallies: BTreeMap<&'static str, Tally>,
    /// What is wrong first.
    pub wrong: Option<String>,
}

fn kind(what: Stored) -> &'static str {
    match what {
        Stored::Output(_) => "outputs",
        Stored::Statistics(_) => "statistics",
        Stored::Gradient { .. } => "gradients",
        Stored::FilteredGradient(_) => "gradients of filtered maps",
        Stored::Means(_) => "means of gradients",
        Stored::ParameterGradient(_) => "gradients of parameters",
        Stored::GateGradient { .. } => "gradients of gates",
    }
}

fn cut_off(values: Vec<f64>) -> Vec<f64> {
    let of = |value| f64::from(f32::from_bits((value as f32).to_bits() & 0xffff_0000));
    values.into_iter().map(of).collect()
}

impl Numbers for Judge {
    const EXACT: bool = false;

    fn operand(&self, operand: Operand, values: Vec<f64>) -> Vec<f64> {
        match self.fault {
            Some(Fault::NotRounded(faulty)) if faulty == operand => values,
            Some(Fault::CutOff(faulty)) if faulty == operand => cut_off(values),
            _ => Bf16.operand(operand, values),
        }
    }

    fn stored(&mut self, what: Stored, mut sums: Sums) -> Vec<f64> {
        let Some(found) = self.device.remove(&what) else { return self.not_seen(what, sums) };
        match what {
            Stored::Output(value) => drop(self.outputs.insert(value, sums.values.clone())),
            Stored::Statistics(value) if self.fault == Some(Fault::StatisticsBeforeRounding) => {
                let (count, mean, squares) = moments(&self.outputs[&value], found.len() / 2);
                sums.values = mean.into_iter().chain(squares.into_iter().map(|square| square / count)).collect();
            }
            _ => {}
        }
        let is_rounded = matches!(what, Stored::Output(_) | Stored::Gradient { .. } | Stored::FilteredGradient(_));
        if is_rounded && self.fault == Some(Fault::CutOffStored) {
            sums.values = cut_off(sums.values);
        }
        let tally = self.tallies.entry(kind(what)).or_default();
        let wrong = tally.take(found.iter().copied(), &sums, is_rounded);
        self.wrong = self.wrong.take().or_else(|| wrong.map(|wrong| format!("{what:?}: {wrong}")));
        found
    }
}

impl Judge {
    pub fn new(device: DeviceNumbers, fault: Option<Fault>) -> Self {
        Self { device, fault, outputs: HashMap::new(), tallies: BTreeMap::new(), wrong: None }
    }

    /// The gradient of a value that a stage reads twice, after the first; all else must be there.
    fn not_seen(&self, what: Stored, sums: Sums) -> Vec<f64> {
        let Stored::Gradient { stage, term } = what else { panic!("nothing is stored of {what:?}") };
        let later =
            |other: &Stored| matches!(other, Stored::Gradient { stage: of, term: at } if *of == stage && *at > term);
        assert!(self.device.keys().any(later), "nothing is stored of {what:?}");
        Bf16.stored(what, sums)
    }

    /// What the reference did not store: gradients of parameters that have no effect.
    pub fn assert_nothing_is_left(&self, label: impl Display) {
        for (what, numbers) in &self.device {
            let is_parameter = matches!(what, Stored::ParameterGradient(_));
            assert!(is_parameter && numbers.iter().all(|number| *number == 0.0), "{label}: {what:?}");
        }
    }
}
