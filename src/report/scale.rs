//! A symmetric scale around zero: its limit, its ticks, and how its numbers are written.

/// Ticks on each side of zero that a scale aims at.
const TICKS_PER_SIDE: f64 = 3.0;

/// Values from `-limit` to `limit`, written in units of `10^exponent`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// Positive and finite.
    pub limit: f64,
    /// A multiple of three.
    pub exponent: i32,
}

impl Scale {
    /// The smallest scale that holds every finite value. Without a value other than zero, the limit is 1.
    pub fn around(values: impl IntoIterator<Item = f64>) -> Self {
        let largest = values.into_iter().filter(|value| value.is_finite()).fold(0.0, |limit, v| v.abs().max(limit));
        Self::with_limit(if largest > 0.0 { largest } else { 1.0 })
    }

    /// A given limit, as for several plots that are to be compared.
    pub fn with_limit(limit: f64) -> Self {
        let exponent = if (0.1..1000.0).contains(&limit) { 0 } else { (limit.log10() / 3.0).floor() as i32 * 3 };
        Self { limit, exponent }
    }

    /// Round numbers within the limits, from the lowest to the highest; zero is one of them.
    pub fn ticks(&self) -> Vec<f64> {
        let step = round_step(self.limit / TICKS_PER_SIDE);
        let per_side = (self.limit / step * (1.0 + 1e-9)).floor() as i32;
        (-per_side..=per_side).map(|tick| f64::from(tick) * step).collect()
    }

    /// A tick with the decimals that tell it from its neighbor.
    pub fn tick_text(&self, tick: f64) -> String {
        let step = round_step(self.limit / TICKS_PER_SIDE) / self.unit();
        signed(tick / self.unit(), decimals_of(step))
    }

    /// A value with about three significant digits at the limit.
    pub fn value_text(&self, value: f64) -> String {
        let decimals = match self.limit / self.unit() {
            limit if limit >= 100.0 => 0,
            limit if limit >= 10.0 => 1,
            limit if limit >= 1.0 => 2,
            _ => 3,
        };
        if value.is_finite() { signed(value / self.unit(), decimals) } else { "–".to_string() }
    }

    /// What a label adds for the unit: nothing, or ` (× 10⁻³)`.
    pub fn unit_text(&self) -> String {
        let superscript = |digit: char| match digit {
            '-' => '⁻',
            digit => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit as usize - '0' as usize],
        };
        match self.exponent {
            0 => String::new(),
            exponent => format!(" (× 10{})", exponent.to_string().chars().map(superscript).collect::<String>()),
        }
    }

    fn unit(&self) -> f64 {
        10_f64.powi(self.exponent)
    }
}

/// The smallest of 1, 2, 2.5, 5 times a power of ten that is not below `least`.
pub fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let factors = [1.0, 2.0, 2.5, 5.0, 10.0];
    factors.into_iter().map(|factor| factor * power).find(|&step| step >= least * (1.0 - 1e-9)).unwrap_or(10.0 * power)
}

/// The decimals that multiples of `step` need.
pub fn decimals_of(step: f64) -> usize {
    (0..6).find(|&decimals| is_whole(step * 10_f64.powi(decimals))).unwrap_or(6) as usize
}

fn is_whole(number: f64) -> bool {
    (number - number.round()).abs() < 1e-6 * number.abs().max(1.0)
}

/// With a real minus sign, and none before a zero.
pub fn signed(number: f64, decimals: usize) -> String {
    let digits = format!("{:.decimals$}", number.abs());
    let is_zero = digits.chars().all(|digit| matches!(digit, '0' | '.'));
    if number < 0.0 && !is_zero { format!("−{digits}") } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(limit: f64) -> Vec<String> {
        let scale = Scale::with_limit(limit);
        scale.ticks().into_iter().map(|tick| scale.tick_text(tick)).collect()
    }

    #[test]
    fn ticks_are_round_symmetric_and_inside_the_limits() {
        assert_eq!(texts(0.43), ["−0.4", "−0.2", "0.0", "0.2", "0.4"]);
        assert_eq!(texts(0.75), ["−0.75", "−0.50", "−0.25", "0.00", "0.25", "0.50", "0.75"]);
        assert_eq!(texts(3.0), ["−3", "−2", "−1", "0", "1", "2", "3"]);
        assert_eq!(texts(0.0123), ["−10", "−5", "0", "5", "10"]);
        assert_eq!(texts(1.0), ["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
    }

    #[test]
    fn small_numbers_are_written_in_thousandths() {
        let scale = Scale::around([0.0123, -0.002, f64::NAN]);
        assert_eq!(scale.unit_text(), " (× 10⁻³)");
        assert_eq!(scale.value_text(-0.002), "−2.0");
        assert_eq!(scale.value_text(-0.00001), "0.0");
        assert_eq!(scale.value_text(f64::NAN), "–");
        assert_eq!(Scale::around([0.5]).unit_text(), "");
    }

    #[test]
    fn every_limit_has_a_few_ticks() {
        for exponent in -300..300 {
            for factor in [1.0, 1.7, 3.3, 9.99] {
                let scale = Scale::with_limit(factor * 10_f64.powi(exponent));
                let ticks = scale.ticks();
                assert!(
                    (3..=7).contains(&ticks.len()) && ticks.iter().all(|tick| tick.abs() <= scale.limit * 1.000001)
                );
            }
        }
        assert_eq!(Scale::around([0.0, f64::INFINITY]).limit, 1.0);
    }
}
