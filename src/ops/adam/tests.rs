use super::{Adam, Parameter, cpu, reference};
use crate::simd::Level;

const ADAM: Adam = Adam { first_decay: 0.5, second_decay: 0.999, epsilon: 1e-8, weight_decay: 1e-3 };

/// Values and moments of `count` numbers after three updates.
fn updated(level: Level, count: usize) -> [Vec<f32>; 3] {
    let mut values: Vec<f32> = (0..count).map(|index| (index as f32 * 0.37).sin()).collect();
    let (mut first, mut second) = (vec![0.0; count], vec![0.0; count]);
    for update in 1..=3 {
        let gradient: Vec<f32> = (0..count).map(|index| (index as f32 * 1.3 + update as f32).cos()).collect();
        let parameter = Parameter { values: &mut values, gradient: &gradient, first: &mut first, second: &mut second };
        cpu::update(level, &ADAM, parameter, 3e-4, update);
    }
    [values, first, second]
}

#[test]
fn the_bits_of_a_value_do_not_depend_on_how_many_others_there_are() {
    for level in Level::available() {
        let whole = updated(level, 48);
        for count in [0, 1, 5, 8, 15, 16, 17, 30, 47] {
            for (part, whole) in updated(level, count).iter().zip(&whole) {
                assert_eq!(part[..], whole[..count], "{level}, {count} numbers");
            }
        }
    }
}

#[test]
fn the_first_update_moves_every_value_by_the_rate_against_its_gradient() {
    let adam = Adam { weight_decay: 0.0, epsilon: 0.0, ..ADAM };
    let (mut values, mut first, mut second) = ([1.0; 3], [0.0; 3], [0.0; 3]);
    let gradient = [1e-3, -5.0, 70.0];
    let parameter = Parameter { values: &mut values, gradient: &gradient, first: &mut first, second: &mut second };
    reference::update(&adam, parameter, 0.25, 1);
    for (value, expected) in values.iter().zip([0.75, 1.25, 0.75]) {
        assert!((value - expected).abs() < 1e-12, "{values:?}");
    }
}
