//! Rank correlations agree with SciPy's; `tests/scipy/README.md` says how its numbers were made.

use crosstalk::rank::{Ranking, pearson, spearman, tau_b};
use serde::Deserialize;
use std::time::{Duration, Instant};

const TOLERANCE: f64 = 1e-12;

#[derive(Deserialize)]
struct Goldens {
    short: Vec<Short>,
    long: Vec<Long>,
}

#[derive(Deserialize)]
struct Correlations {
    /// None where SciPy says NaN.
    tau: Option<f64>,
    spearman: Option<f64>,
    pearson: Option<f64>,
}

#[derive(Deserialize)]
struct Short {
    name: String,
    first: Vec<f64>,
    second: Vec<f64>,
    #[serde(flatten)]
    expected: Correlations,
}

#[derive(Deserialize)]
struct Long {
    name: String,
    rows: usize,
    seed: u64,
    first_levels: u64,
    second_levels: u64,
    weight: u64,
    #[serde(flatten)]
    expected: Correlations,
}

impl Long {
    /// The values of `tests/scipy/ranks.py`.
    fn values(&self) -> (Vec<f64>, Vec<f64>) {
        let mut state = self.seed;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let mut pair = || {
            let first = draw() % self.first_levels;
            let second = draw() % self.second_levels + self.weight * (first * self.second_levels / self.first_levels);
            (first as f64, second as f64)
        };
        (0..self.rows).map(|_| pair()).unzip()
    }
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("goldens/ranks.json")).expect("JSON")
}

fn assert_agrees(name: &str, (first, second): (&[f64], &[f64]), expected: &Correlations) {
    let rankings = (Ranking::of(first), Ranking::of(second));
    let found = [
        ("tau", tau_b(&rankings.0, &rankings.1), expected.tau),
        ("spearman", spearman(&rankings.0, &rankings.1), expected.spearman),
        ("pearson", pearson(first, second), expected.pearson),
    ];
    for (measure, found, expected) in found {
        match (found, expected) {
            (Some(found), Some(expected)) => {
                assert!((found - expected).abs() <= TOLERANCE, "{measure} of {name}: {found} instead of {expected}");
            }
            _ => assert_eq!(found, expected, "{measure} of {name}"),
        }
    }
}

#[test]
fn ties_and_constants_agree_with_scipy() {
    let goldens = goldens();
    assert_eq!(goldens.short.len(), 12);
    assert!(goldens.short.iter().any(|case| case.expected.tau.is_none()));
    goldens.short.iter().for_each(|case| assert_agrees(&case.name, (&case.first, &case.second), &case.expected));
}

#[test]
fn rows_as_many_as_nasbench201_has_agree_with_scipy() {
    let goldens = goldens();
    assert!(goldens.long.iter().filter(|case| case.rows == 15_625).count() >= 4);
    for case in &goldens.long {
        let (first, second) = case.values();
        assert_agrees(&case.name, (&first, &second), &case.expected);
    }
}

/// The best of a few, because other tests run beside this one.
#[test]
fn tau_of_15625_rows_takes_50_milliseconds_at_most() {
    let goldens = goldens();
    let case = goldens.long.iter().find(|case| case.name == "continuous").expect("the case");
    let (first, second) = case.values();
    let once = || {
        let start = Instant::now();
        let tau = tau_b(&Ranking::of(&first), &Ranking::of(&second));
        assert!(tau.is_some());
        start.elapsed()
    };
    let best = (0..5).map(|_| once()).min().expect("five times");
    println!("{best:?}");
    assert!(best <= Duration::from_millis(50), "{best:?}");
}
