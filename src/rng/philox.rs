//! Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).

const ROUNDS: usize = 10;
const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// Added to the key before every round but the first: the golden ratio and sqrt(3) - 1, as 32-bit fractions.
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// The bijection from a 128-bit counter to 128 random bits under a 64-bit key.
pub struct Philox;

impl Philox {
    /// The four random words of `counter` under `key`; words in the order of Random123.
    pub const fn block(key: [u32; 2], counter: [u32; 4]) -> [u32; 4] {
        let mut key = key;
        let mut words = counter;
        let mut round = 0;
        while round < ROUNDS {
            let first = MULTIPLIERS[0] as u64 * words[0] as u64;
            let second = MULTIPLIERS[1] as u64 * words[2] as u64;
            words = [
                (second >> 32) as u32 ^ words[1] ^ key[0],
                second as u32,
                (first >> 32) as u32 ^ words[3] ^ key[1],
                first as u32,
            ];
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
            round += 1;
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The three rows `philox4x32 10` of `tests/kat_vectors` in Random123 1.14.0.
    #[test]
    fn the_published_known_answers_come_out() {
        assert_eq!(Philox::block([0; 2], [0; 4]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(Philox::block([!0; 2], [!0; 4]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            Philox::block([0xa409_3822, 0x299f_31d0], [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }
}
