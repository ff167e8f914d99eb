//! Same bits in two runs and with any number of threads, at every instruction set.

mod common;

use common::command::{DARTS, NASBENCH201, Recorded, Workshop, searches};
use crosstalk::simd::Level;

#[test]
fn two_runs_leave_the_same_bits() {
    for (options, lanes) in [("", 1), (NASBENCH201, 2), (DARTS, 2)] {
        let shop = Workshop::new();
        let first = shop.train("first", options);
        assert_eq!(first.steps.len(), 12 * lanes);
        assert_eq!(first.accuracy.len(), 3 * 3 * 4, "three evaluations, three regimes, four children");
        assert_eq!(first, shop.train("second", options));
    }
}

#[test]
fn two_searches_leave_the_same_bits() {
    for options in searches() {
        let shop = Workshop::new();
        let first = shop.train("first", &options);
        assert_eq!(first.steps.len(), 12);
        assert_eq!(first.accuracy.len(), 3 * 3, "three evaluations of the derived child, three regimes");
        assert!(first.alphas.iter().any(|row| row.step == 12), "{options}");
        assert_eq!(first, shop.train("second", &options));
    }
}

#[test]
fn another_seed_leaves_other_bits() {
    let shop = Workshop::new();
    let [first, second] = [0, 1].map(|seed| shop.train(&format!("seed-{seed}"), &format!("--set seed.base={seed}")));
    assert_ne!(first.state_hash, second.state_hash);
}

#[test]
fn the_number_of_threads_does_not_change_a_bit_at_any_instruction_set() {
    // Several lanes a step, so that lanes and chunks of images run side by side.
    let fair = "--set step.children=fair --set step.order=lexicographic";
    let searches = searches();
    let runs = [(fair, 4), (NASBENCH201, 2), (DARTS, 2)].into_iter();
    for (options, lanes) in runs.chain(searches.iter().map(|search| (search.as_str(), 1))) {
        let shop = Workshop::new();
        for level in Level::available() {
            let run = |threads: usize| -> Recorded {
                let name = format!("{level}-{threads}");
                shop.train(&name, &format!("{options} --steps 6 --simd {level} --threads {threads}"))
            };
            let alone = run(1);
            assert_eq!(alone.steps.len(), 6 * lanes);
            for threads in [2, 7] {
                assert_eq!(alone, run(threads), "{level} with {threads} threads, {options}");
            }
        }
    }
}

#[test]
fn the_reference_does_not_depend_on_the_number_of_threads() {
    let shop = Workshop::new();
    let run = |threads: usize| {
        let options = "--device reference --set precision=f64 --steps 3";
        shop.train(&format!("threads-{threads}"), &format!("{options} --threads {threads}"))
    };
    assert_eq!(run(1), run(7));
}

#[test]
fn evaluation_does_not_depend_on_the_number_of_threads() {
    let shop = Workshop::new();
    shop.train("run", "");
    let evaluate = |threads: usize| -> Vec<crosstalk::records::AccuracyRecord> {
        let out = format!("threads-{threads}.parquet");
        shop.run(&format!("eval run --norm running,batch,recalibrated --threads {threads} --out {out}"));
        common::command::rows(&shop.path(&out))
    };
    let alone = evaluate(1);
    assert_eq!(alone.len(), 3 * 64);
    assert_eq!(alone, evaluate(2));
    assert_eq!(alone, evaluate(7));
}
