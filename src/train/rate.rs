//! Learning-rate schedules.

use super::config::{OptimizerConfig, RateSchedule, ScheduleUnit};

/// The rate of a step. `all` and `done` count steps; epochs are whole ones of `steps_per_epoch`.
pub fn learning_rate(optimizer: &OptimizerConfig, done: u64, all: u64, steps_per_epoch: u64) -> f64 {
    let (most, least) = (optimizer.learning_rate, optimizer.minimum_learning_rate);
    match optimizer.schedule {
        RateSchedule::Constant => most,
        RateSchedule::Cosine => {
            let (done, all) = match optimizer.schedule_unit {
                ScheduleUnit::Step => (done, all),
                ScheduleUnit::Epoch => (done / steps_per_epoch, all.div_ceil(steps_per_epoch)),
            };
            least + (most - least) * (1.0 + (std::f64::consts::PI * done as f64 / all as f64).cos()) / 2.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cosine_falls_once_an_epoch_from_the_most_to_near_the_least() {
        let optimizer = OptimizerConfig { schedule: RateSchedule::Cosine, ..OptimizerConfig::default() };
        let at = |step| learning_rate(&optimizer, step, 39_200, 196);
        assert_eq!(at(0), 0.025);
        assert_eq!(at(195), 0.025);
        assert!(at(196) < 0.025);
        assert!((at(100 * 196) - 0.013).abs() < 1e-12);
        let last = 0.001 + 0.024 * (1.0 + (std::f64::consts::PI * 199.0 / 200.0).cos()) / 2.0;
        assert_eq!(at(39_199), last);
    }

    #[test]
    fn a_cosine_by_steps_moves_every_step() {
        let optimizer = OptimizerConfig {
            schedule: RateSchedule::Cosine,
            schedule_unit: ScheduleUnit::Step,
            ..OptimizerConfig::default()
        };
        assert!(learning_rate(&optimizer, 1, 10, 5) < learning_rate(&optimizer, 0, 10, 5));
        assert!((learning_rate(&optimizer, 5, 10, 5) - 0.013).abs() < 1e-12);
    }
}
