//! Names of records and runs in their order.

/// The distinct texts of a column: by number where all are numbers, else as they come.
pub fn distinct(cells: &[String]) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let mut labels: Vec<String> = cells.iter().filter(|cell| seen.insert(cell.as_str())).cloned().collect();
    let numbers: Option<Vec<f64>> = labels.iter().map(|label| label.parse().ok()).collect();
    if let Some(numbers) = numbers {
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by(|&a, &b| numbers[a].total_cmp(&numbers[b]));
        labels = order.into_iter().map(|index| std::mem::take(&mut labels[index])).collect();
    }
    labels
}

/// What stands before the number at the end of a name, and that number: `("epoch_", 12)` of `epoch_12`.
pub fn numbered(name: &str) -> Option<(&str, u64)> {
    let digits = name.len() - name.trim_end_matches(|last: char| last.is_ascii_digit()).len();
    let (start, number) = name.split_at(name.len() - digits);
    Some((start, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_numeric_order_and_names_as_they_come() {
        let texts = |labels: &[&str]| labels.iter().map(|&label| label.to_owned()).collect::<Vec<_>>();
        assert_eq!(distinct(&texts(&["10", "9", "10", "100"])), ["9", "10", "100"]);
        assert_eq!(distinct(&texts(&["b", "10", "a", "b"])), ["b", "10", "a"]);
    }

    #[test]
    fn a_number_is_split_off_the_end() {
        assert_eq!(numbered("epoch_012"), Some(("epoch_", 12)));
        assert_eq!(numbered("7"), Some(("", 7)));
        assert_eq!(numbered("cifar10_val"), None);
    }
}
