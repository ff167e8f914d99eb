//! Correlation of values and of their ranks.

use super::Ranking;

/// Pearson's correlation, sum (a - mean a) (b - mean b) / sqrt(sum (a - mean a)^2 sum (b - mean b)^2): K. Pearson, "Note on Regression
/// and Inheritance in the Case of Two Parents", Proceedings of the Royal Society of London 58 (1895).
///
/// `None` where a side is constant or has fewer than two values. Values pair up by position.
pub fn pearson(first: &[f64], second: &[f64]) -> Option<f64> {
    let count = first.len().min(second.len());
    let (first, second) = (standardized(&first[..count])?, standardized(&second[..count])?);
    let product: f64 = first.iter().zip(&second).map(|(a, b)| a * b).sum();
    Some(product.clamp(-1.0, 1.0))
}

/// Spearman's rho: Pearson's correlation of the ranks, tied items sharing their mean rank. C. Spearman, "The Proof and Measurement of
/// Association between Two Things", American Journal of Psychology 15 (1904).
///
/// `None` where a side is constant or has fewer than two items.
pub fn spearman(first: &Ranking, second: &Ranking) -> Option<f64> {
    pearson(&first.average_ranks(), &second.average_ranks())
}

/// The values less their mean, divided by their Euclidean norm then; `None` for a constant.
pub(super) fn standardized(values: &[f64]) -> Option<Vec<f64>> {
    // Asked of the values themselves: the mean of equal numbers may differ from them by rounding.
    if values.windows(2).all(|pair| pair[0] == pair[1]) {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let centered: Vec<f64> = values.iter().map(|value| value - mean).collect();
    // Divided by the largest first, so that squares of very small numbers do not vanish.
    let largest = centered.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let norm = centered.iter().map(|value| (value / largest).powi(2)).sum::<f64>().sqrt() * largest;
    (norm > 0.0 && norm.is_finite()).then(|| centered.into_iter().map(|value| value / norm).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pearson_ignores_scale_and_offset(values in proptest::collection::vec((-9.0..9.0, -9.0..9.0), 2..30)) {
            let (first, second): (Vec<f64>, Vec<f64>) = values.into_iter().unzip();
            let scaled: Vec<f64> = second.iter().map(|value| 3.0 - 2.0 * value).collect();
            if let (Some(one), Some(other)) = (pearson(&first, &second), pearson(&first, &scaled)) {
                prop_assert!((one + other).abs() < 1e-9);
            }
        }

        #[test]
        fn spearman_only_sees_the_order(values in proptest::collection::vec((-9.0..9.0, -9.0..9.0), 2..30)) {
            let (first, second): (Vec<f64>, Vec<f64>) = values.into_iter().unzip();
            let monotone: Vec<f64> = second.iter().map(|value: &f64| value.exp()).collect();
            let first = Ranking::of(&first);
            prop_assert_eq!(spearman(&first, &Ranking::of(&second)), spearman(&first, &Ranking::of(&monotone)));
        }
    }

    #[test]
    fn a_constant_has_no_correlation() {
        assert_eq!(pearson(&[0.1; 3], &[1.0, 2.0, 3.0]), None);
        assert_eq!(pearson(&[1.0], &[2.0]), None);
        assert_eq!(spearman(&Ranking::of(&[1.0, 2.0]), &Ranking::of(&[3.0, 3.0])), None);
    }

    #[test]
    fn very_small_numbers_correlate_as_others_do() {
        let correlation = pearson(&[1e-200, 2e-200, 4e-200], &[1.0, 2.0, 4.0]).expect("not constant");
        assert!((correlation - 1.0).abs() < 1e-12);
    }
}
