//! Rank statistics: how well one order of the children agrees with another.
//!
//! Most measures take [`Ranking`]s, so that a sort is paid once and not once a measure or bootstrap replicate. A measure that its
//! formula leaves undefined (a constant side, too few children) is `None`, never a number that looks like a result.

mod bootstrap;
mod ceiling;
mod correlation;
mod inside;
mod kendall;
mod movement;
mod ranking;
mod stability;
mod summary;
mod top;

pub use bootstrap::{Bootstrap, Interval};
pub use ceiling::{NoiseCeiling, noise_ceiling};
pub use correlation::{pearson, spearman};
pub use inside::{count_of_share, rounded, tau_inside_top, true_top};
pub use kendall::{PairCounts, tau_b};
pub use movement::{CoMovement, PairMean, co_movement};
pub use ranking::Ranking;
pub use stability::{averaged, consecutive_taus, gt_taus, pairwise_taus, s_tau};
pub use summary::Summary;
pub use top::{best_true_rank, precision_at_bottom, precision_at_top, surpass_random, worst_true_rank};
