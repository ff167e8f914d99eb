//! Learning-rate schedules.

use super::config::{OptimizerConfig, RateSchedule, ScheduleUnit};

/// The rate of a step. `all` and `done` count steps; epochs are whole ones of `steps_per_epoch`.
pub fn learning_rate(optimizer: &OptimizerConfig, done: u64, all: u64, steps_per_epoch: u64) -> f64 {
    let (most, least) = (optimizer.learning_rate, optimizer.minimum_learning_rate());
    let (done, all) = match optimizer.schedule_unit {
        ScheduleUnit::Step => (done, all),
        ScheduleUnit::Epoch => (done / steps_per_epoch, all.div_ceil(steps_per_epoch)),
    };
    match optimizer.schedule {
        RateSchedule::Constant => most,
        RateSchedule::Cosine => {
            least + (most - least) * (1.0 + (std::f64::consts::PI * done as f64 / all as f64).cos()) / 2.0
        }
        RateSchedule::StepDecay => most * optimizer.gamma().powf(decays(optimizer, done) as f64),
    }
}

/// How often a step decay has multiplied the rate after `done` epochs or steps: PyTorch's `MultiStepLR`, or `StepLR`.
fn decays(optimizer: &OptimizerConfig, done: u64) -> u64 {
    match optimizer.step_size {
        Some(size) => done / size,
        None => optimizer.milestones.iter().filter(|&&milestone| milestone <= done).count() as u64,
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
    fn a_cosine_below_its_usual_end_stays_where_it_is() {
        for rate in [0.0, 0.0005] {
            let optimizer =
                OptimizerConfig { schedule: RateSchedule::Cosine, learning_rate: rate, ..OptimizerConfig::default() };
            optimizer.validate().unwrap();
            assert!([0, 4, 9].into_iter().all(|step| learning_rate(&optimizer, step, 10, 1) == rate));
        }
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

    /// Rates of ten epochs of two steps each.
    fn ten_epochs(optimizer: &OptimizerConfig) -> Vec<f64> {
        (0..20).step_by(2).map(|step| learning_rate(optimizer, step, 20, 2)).collect()
    }

    fn assert_rates(found: &[f64], pytorch: &[f64]) {
        assert_eq!(found.len(), pytorch.len());
        let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-15 * b;
        assert!(found.iter().zip(pytorch).all(close), "{found:?}");
    }

    fn step_decay(keys: &str) -> OptimizerConfig {
        let optimizer: OptimizerConfig = toml::from_str(&format!("schedule = \"step_decay\"\n{keys}")).unwrap();
        optimizer.validate().unwrap();
        optimizer
    }

    /// `MultiStepLR(SGD([w], lr=0.1), milestones=[3, 7], gamma=0.2)` of PyTorch 2.13, `get_last_lr()` in epochs 0 to 9.
    #[test]
    fn milestones_decay_as_multi_step_lr_does() {
        let optimizer = step_decay("learning_rate = 0.1\nmilestones = [3, 7]\ngamma = 0.2");
        let (second, third) = (0.020000000000000004, 0.004000000000000001);
        assert_rates(&ten_epochs(&optimizer), &[0.1, 0.1, 0.1, second, second, second, second, third, third, third]);
        assert_eq!(learning_rate(&optimizer, 5, 20, 2), 0.1, "the second step of epoch 2");
    }

    /// `StepLR(SGD([w], lr=0.025), step_size=4, gamma=0.97)` of PyTorch 2.13, `get_last_lr()` in epochs 0 to 9.
    #[test]
    fn a_step_size_decays_as_step_lr_does() {
        let optimizer = step_decay("learning_rate = 0.025\nstep_size = 4\ngamma = 0.97");
        let (second, third) = (0.02425, 0.023522500000000002);
        assert_rates(
            &ten_epochs(&optimizer),
            &[0.025, 0.025, 0.025, 0.025, second, second, second, second, third, third],
        );
    }

    #[test]
    fn a_step_decay_counts_steps_where_told_and_takes_a_tenth_unless_told() {
        let optimizer = step_decay("learning_rate = 1.0\nmilestones = [2, 3]\nschedule_unit = \"step\"");
        let rates: Vec<f64> = (0..5).map(|step| learning_rate(&optimizer, step, 5, 2)).collect();
        assert_rates(&rates, &[1.0, 1.0, 0.1, 0.01, 0.01]);
    }
}
