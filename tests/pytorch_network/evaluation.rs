//! Evaluations of children, alone and in one graph.

use crate::case::{Case, NETWORKS};
use crate::{Tolerances, assert_loss_is_close, predictions};
use crosstalk::backend::Backend;
use crosstalk::backend::evaluation::{ChildEvaluation, EvaluationPlan, EvaluationRegime, Recalibrated};
use crosstalk::plan::Graph;
use crosstalk::space::Child;

#[derive(Clone, Copy, Debug)]
enum Statistics {
    Running,
    Batch,
    Recalibrated,
}

fn evaluate<B: Backend>(
    backend: &B,
    case: &Case<B::Real>,
    children: &[Child],
    statistics: Statistics,
) -> Vec<ChildEvaluation> {
    let plan = EvaluationPlan::new(&case.model, children);
    let mut recalibrated = Recalibrated::new(&plan);
    let replica = case.replica(backend);
    let regime = match statistics {
        Statistics::Running => EvaluationRegime::Running,
        Statistics::Batch => EvaluationRegime::Batch,
        Statistics::Recalibrated => {
            // Two mini-batches of different sizes.
            let image = case.images.len() / case.labels.len();
            for images in [0..3, 1..case.labels.len()] {
                let pixels = case.images[images.start * image..images.end * image].to_vec();
                let batch = backend.load_numbers(pixels, case.labels[images].to_vec()).expect("a device that works");
                plan.recalibrate(backend, &replica, &batch, 2, &mut recalibrated, &mut || {})
                    .expect("a device that works");
            }
            EvaluationRegime::Recalibrated(&recalibrated)
        }
    };
    let mut results = vec![ChildEvaluation::default(); children.len()];
    let batch = case.batch(backend);
    plan.evaluate(backend, &replica, &batch, regime, &mut results, &mut || {}).expect("a device that works");
    results
}

/// Loss, correct and predictions under running and under batch statistics.
pub fn check_evaluation<B: Backend>(backend: &B, tolerances: &Tolerances) {
    for name in NETWORKS {
        let case: Case<B::Real> = Case::read(name);
        for (child_name, child) in case.children() {
            for (regime, statistics) in [("running", Statistics::Running), ("batch", Statistics::Batch)] {
                let found = evaluate(backend, &case, std::slice::from_ref(&child), statistics).remove(0);
                let golden = |part: &str| format!("evaluation/{child_name}/{regime}/{part}");
                let label = format!("{name}, child {child_name}, {regime}");
                assert_loss_is_close(&label, found.loss(), case.golden.number(&golden("loss")), tolerances.loss);
                assert_eq!(f64::from(found.correct), case.golden.number(&golden("correct")), "{label}");
                let logits = case.golden.values::<f64>(&golden("logits"));
                assert_eq!(found.predictions, predictions(&logits, case.golden.description.classes), "{label}");
            }
        }
    }
}

/// Children all over the space in one graph, which computes what they share once, and each in a graph of its own.
pub fn check_merged_graphs<B: Backend>(backend: &B, children: &str) {
    for name in NETWORKS {
        let case: Case<B::Real> = Case::read(name);
        let children = case.model.network.space.parse_children(children).expect("a list");
        let alone: usize = children
            .iter()
            .map(|child| Graph::of_children(&case.model, std::slice::from_ref(child)).stages.len())
            .sum();
        let merged = Graph::of_children(&case.model, &children).stages.len();
        assert!(merged < alone, "{name}: {merged} stages merged, {alone} alone");
        for statistics in [Statistics::Running, Statistics::Batch, Statistics::Recalibrated] {
            let together = evaluate(backend, &case, &children, statistics);
            assert!(together.windows(2).any(|pair| pair[0].loss_sum != pair[1].loss_sum), "children differ");
            for (child, merged) in children.iter().zip(&together) {
                let alone = evaluate(backend, &case, std::slice::from_ref(child), statistics).remove(0);
                let label = format!("{name}, {statistics:?}, {}", case.model.network.space.format_child(child));
                assert_eq!(merged.loss_sum.to_bits(), alone.loss_sum.to_bits(), "{label}");
                assert_eq!((merged.correct, &merged.predictions), (alone.correct, &alone.predictions), "{label}");
            }
        }
    }
}
