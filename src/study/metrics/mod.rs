//! Every rank measure of a truth and a prediction that were joined.

mod evaluation;
mod measure;
mod results;
mod top_curve;

pub use measure::{Form, Measure};
pub use results::{
    Ceiling, CoMovementResults, EdgeCorrelation, Measured, MetricsOptions, PairCorrelation, RecordResults, Results,
    RunResults, Top, metrics,
};
pub use top_curve::{TopCurve, TopPoint, top_curve};
