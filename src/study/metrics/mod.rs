//! Every rank measure of a truth and a prediction that were joined.

mod bias;
mod evaluation;
mod measure;
mod results;
mod top_curve;

pub use bias::{BiasResults, CandidateBias};
pub use measure::{Form, Measure};
pub use results::{
    Ceiling, CoMovementResults, EdgeCorrelation, Measured, MetricsOptions, PairCorrelation, RecordResults, Results,
    RunResults, Top, metrics,
};
pub use top_curve::{TopCurve, TopPoint, top_curve};
