use super::cpu::forward;
use crate::simd::Level;

#[test]
fn a_node_without_terms_is_zero() {
    let mut output = [1.0; 16];
    forward(Level::Portable, &[], 2, &mut output);
    assert_eq!(output, [0.0; 16]);
}
