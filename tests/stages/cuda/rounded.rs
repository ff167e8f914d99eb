//! Stages in bf16, kernel by kernel: each is judged by what it read, so that no rounding of an operand can fall on the other side. Inputs are
//! normalized in f32 by the rows that the kernels have; the rest is the reference's on numbers of bf16.

use super::On;
use super::device_stage::DeviceStage;
use crate::case::{self, Kind};
use crate::common::rounding::Tally;
use crate::found::Found;
use crate::given::Given;
use crosstalk::backend::reference::numbers::{Bf16, Numbers, Operand, Stored, Sums};
use crosstalk::backend::reference::{linear, node};
use crosstalk::ops::Operation;
use crosstalk::ops::cuda::Storage;

/// Runs some stages in bf16.
pub fn check_in_bf16(on: On, wanted: impl Fn(Kind) -> bool) {
    let mut tally = Tally::default();
    for case in case::table().iter().filter(|case| wanted(case.operation) && on.takes(case)) {
        let given = Given::drawn(case);
        for accumulate in [false, true] {
            let device = on.device(accumulate.into());
            let mut stage = DeviceStage::new(&device, Storage::Bf16, &given, accumulate);
            stage.run();
            let mut found = Found::default();
            stage.record(&mut found);
            let mut judge = Judge {
                label: format!("{case}, accumulating {accumulate}"),
                given: &given,
                stage: &stage,
                found,
                accumulate,
                tally,
            };
            match case.linear() {
                Some(operation) => judge.linear(&operation),
                None => judge.node(),
            }
            tally = judge.tally;
        }
    }
    println!("bf16: {tally:?}");
}

pub fn wide(values: Vec<f32>) -> Vec<f64> {
    values.into_iter().map(f64::from).collect()
}

struct Judge<'a> {
    label: String,
    given: &'a Given<'a>,
    stage: &'a DeviceStage<'a>,
    found: Found,
    accumulate: bool,
    tally: Tally,
}

/// What the kernels of a backward pass hand over is judged, and read as it is.
impl Numbers for Judge<'_> {
    const EXACT: bool = false;

    fn operand(&self, operand: Operand, values: Vec<f64>) -> Vec<f64> {
        Bf16.operand(operand, values)
    }

    fn stored(&mut self, what: Stored, sums: Sums) -> Vec<f64> {
        let found = wide(self.stage.scratch());
        self.take(&format!("{what:?}"), found.clone(), &sums, true);
        found
    }
}

impl Judge<'_> {
    fn take(&mut self, name: &str, found: Vec<f64>, expected: &Sums, is_rounded: bool) {
        self.tally.take_right(&format!("{}, {name}", self.label), found, expected, is_rounded);
    }

    fn take_input_gradient(&mut self, dx: Sums) {
        let dx = if self.accumulate { dx.plus(&wide(self.stage.input())) } else { dx };
        self.take("input gradient", wide(self.stage.input_gradient()), &dx, true);
    }

    /// Compares everything that a linear stage left.
    fn linear(&mut self, operation: &Operation) {
        let (case, stage) = (self.given.case, self.stage);
        let normalized = wide(stage.normalized_input());
        let passes = |index: usize| !case.relu || normalized[index] > 0.0;
        let a = (0..normalized.len()).map(|index| if passes(index) { normalized[index] } else { 0.0 }).collect();
        let a = self.operand(Operand::Input, a);
        let weights: Vec<Vec<f64>> = case.weights().iter().map(|(name, _)| self.given.vector(name)).collect();
        let y = linear::forward(self, operation, &a, &weights);
        self.take("output", wide(stage.output()), &y, true);
        stage.assert_statistics(&self.label);
        let (dx, dw) = linear::backward(self, 0, operation, &a, &weights, wide(stage.raw_output_gradient()));
        for (index, dw) in dw.iter().enumerate() {
            let name = format!("weight_gradient.{index}");
            let found = self.found.0[&name].values.iter_f64().collect();
            self.take(&name, found, dw, false);
        }
        if !case.image {
            self.take_input_gradient(dx.masked(passes));
        }
    }

    /// The same of a node, whose terms stand one after another in a pixel.
    fn node(&mut self) {
        let (stage, channels) = (self.stage, self.given.case.output().channels);
        let gates: Vec<f64> = self.given.vector("gate");
        let (z, dnode) = (wide(stage.normalized_input()), wide(stage.raw_output_gradient()));
        let term = |index: usize| z.chunks(channels).skip(index).step_by(gates.len()).flatten().copied();
        let terms: Vec<Vec<f64>> = (0..gates.len()).map(|index| term(index).collect()).collect();
        let terms: Vec<(&[f64], f64)> = terms.iter().map(Vec::as_slice).zip(gates.iter().copied()).collect();
        self.take("output", wide(stage.output()), &node::forward::<Self>(&terms, dnode.len()), true);
        let mut dz = Sums { values: vec![0.0; z.len()], magnitudes: vec![0.0; z.len()] };
        for (index, (term, gate)) in terms.iter().enumerate() {
            let [dterm, dgate] = node::backward::<Self>(term, *gate, &dnode);
            let found = self.found.0["gate_gradient"].values.iter_f64().skip(index).take(1).collect();
            self.take("gate gradient", found, &dgate, false);
            for (to, from) in [(&mut dz.values, dterm.values), (&mut dz.magnitudes, dterm.magnitudes)] {
                let to = to.chunks_mut(channels).skip(index).step_by(gates.len());
                to.zip(from.chunks(channels)).for_each(|(to, from)| to.copy_from_slice(from));
            }
        }
        self.take_input_gradient(dz);
    }
}
