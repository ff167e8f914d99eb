use super::cpu::{Term, TermGradient, backward, forward};
use crate::ops::cases::{Case, Stage, to_f64};
use crate::ops::input::{GradientSums, Input, SegmentGradient};
use crate::ops::{Window, plain};
use crate::simd::Level;

const GATES: [Option<f32>; 3] = [None, Some(0.25), Some(-1.5)];

fn stage(logical: &'static [usize], size: (usize, usize)) -> Stage {
    let window = Window::same(1, 1, 1);
    Stage::new(&Case { window, size, segments: logical, outputs: logical[0], relu: false, images: 3 })
}

#[test]
fn every_level_agrees_with_the_formula() {
    for stage in [stage(&[16; 3], (8, 8)), stage(&[24; 3], (7, 5)), stage(&[8; 3], (1, 1)), stage(&[6; 3], (9, 9))] {
        let segments = stage.segments();
        let pixels = 3 * stage.case.size.0 * stage.case.size.1;
        let terms: Vec<Term> = segments.iter().zip(GATES).map(|(&source, gate)| Term { source, gate }).collect();
        let z: Vec<Vec<f64>> = segments
            .iter()
            .map(|&segment| {
                let input = Input { segments: &[segment], relu: false };
                plain::normalized(&input, 3, stage.case.size).0.values
            })
            .collect();
        let gate = |term: usize| f64::from(GATES[term].unwrap_or(1.0));
        let node: Vec<f64> = (0..z[0].len()).map(|at| (0..3).map(|term| gate(term) * z[term][at]).sum()).collect();
        for level in Level::available() {
            let mut output = vec![f32::NAN; node.len()];
            forward(level, &terms, pixels, &mut output);
            assert!(plain::error(&output, &node) <= 1e-6);
            let channels = segments[0].channels;
            let (mean, rstd) = (vec![0.25; channels], vec![1.5; channels]);
            let mut dz = [vec![1.0; node.len()], vec![f32::NAN; node.len()], vec![f32::NAN; node.len()]];
            let mut gates = [f64::NAN; 3];
            let (mut sum, mut sum_xhat) = (vec![7.0; channels], vec![7.0; channels]);
            let mut sums = Some(GradientSums { mean: &mean, rstd: &rstd, dz: &mut sum, dz_xhat: &mut sum_xhat });
            let mut gradients: Vec<TermGradient> = dz
                .iter_mut()
                .zip(&mut gates)
                .enumerate()
                .map(|(term, (dz, gate))| TermGradient {
                    source: Some(SegmentGradient { dz, accumulate: term == 0, sums: sums.take() }),
                    gate: Some(gate),
                })
                .collect();
            backward(level, &terms, pixels, &stage.dz, &mut gradients);
            let dnode = to_f64(&stage.dz);
            for term in 0..3 {
                let start = if term == 0 { 1.0 } else { 0.0 };
                let expected: Vec<f64> = dnode.iter().map(|d| start + gate(term) * d).collect();
                assert!(plain::error(&dz[term], &expected) <= 1e-6);
                let of_gate: f64 = dnode.iter().zip(&z[term]).map(|(d, z)| d * z).sum();
                let scale: f64 = dnode.iter().zip(&z[term]).map(|(d, z)| (d * z).abs()).sum();
                assert!((gates[term] - of_gate).abs() <= 1e-6 * scale);
                if term == 0 {
                    let (plain_sum, xhat) = plain::sums(&expected, segments[0].values, &mean, &rstd);
                    assert!(plain::error(&sum, &plain_sum) <= 1e-6 && plain::error(&sum_xhat, &xhat) <= 1e-6);
                }
            }
        }
    }
}

#[test]
fn a_node_without_terms_is_zero() {
    let mut output = [1.0; 16];
    forward(Level::Portable, &[], 2, &mut output);
    assert_eq!(output, [0.0; 16]);
}
