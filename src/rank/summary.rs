//! Mean and spread of a few numbers.

/// Mean, standard deviation and range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub mean: f64,
    /// Divided by the number of values, as NumPy does.
    pub std: f64,
    pub lowest: f64,
    pub highest: f64,
}

impl Summary {
    /// `None` if there is no value, or one of them is undefined: a mean of the others would be of something else.
    pub fn of(values: &[Option<f64>]) -> Option<Self> {
        let values: Vec<f64> = values.iter().copied().collect::<Option<_>>()?;
        if values.is_empty() {
            return None;
        }
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let std = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
        let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Self { mean, std, lowest, highest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_undefined_value_leaves_the_mean_undefined() {
        let summary = Summary::of(&[Some(1.0), Some(3.0)]).expect("defined");
        assert_eq!(summary, Summary { mean: 2.0, std: 1.0, lowest: 1.0, highest: 3.0 });
        assert_eq!(Summary::of(&[Some(1.0), None]), None);
        assert_eq!(Summary::of(&[]), None);
    }
}
