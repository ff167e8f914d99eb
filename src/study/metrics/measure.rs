//! Names of the measures.

/// A measure of one prediction, or of the records or runs of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    Tau,
    Spearman,
    Pearson,
    SparseTau,
    /// Tau among the true best so many percent.
    TauInsideTop {
        percent: u32,
        children: usize,
    },
    /// TnR.
    TopTrueRank {
        n: usize,
    },
    PrecisionAtTop {
        k: usize,
    },
    PrecisionAtBottom {
        k: usize,
    },
    BestTrueRank {
        k: usize,
    },
    WorstTrueRank {
        k: usize,
    },
    SurpassRandom {
        n: usize,
    },
    /// S-Tau of the last records of all runs.
    RunsSTau {
        runs: usize,
    },
    /// Over the last records of a run.
    GtTauMean {
        last: usize,
    },
    GtTauStd {
        last: usize,
    },
    RecordsSTau {
        last: usize,
    },
    ConsecutiveTau {
        last: usize,
    },
    EnsembleTau {
        last: usize,
    },
    MeanTopTrueRank {
        n: usize,
        last: usize,
    },
}

/// What kind of number a measure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Between -1 and 1, or a standard deviation of such.
    Correlation,
    /// From 1 for the best child.
    Rank,
    /// Between 0 and 1.
    Share,
}

impl Measure {
    /// Its key in JSON.
    pub fn key(&self) -> String {
        match self {
            Self::Tau => "tau".to_owned(),
            Self::Spearman => "spearman".to_owned(),
            Self::Pearson => "pearson".to_owned(),
            Self::SparseTau => "sparse_tau".to_owned(),
            Self::TauInsideTop { percent, .. } => format!("tau_inside_top_{percent}_percent"),
            Self::TopTrueRank { n } => format!("top_{n}_rank"),
            Self::PrecisionAtTop { k } => format!("precision_at_top_{k}"),
            Self::PrecisionAtBottom { k } => format!("precision_at_bottom_{k}"),
            Self::BestTrueRank { k } => format!("best_rank_at_{k}"),
            Self::WorstTrueRank { k } => format!("worst_rank_at_{k}"),
            Self::SurpassRandom { n } => format!("surpass_random_{n}"),
            Self::RunsSTau { .. } => "s_tau_runs".to_owned(),
            Self::GtTauMean { last } => format!("gt_tau_mean_{last}"),
            Self::GtTauStd { last } => format!("gt_tau_std_{last}"),
            Self::RecordsSTau { last } => format!("s_tau_records_{last}"),
            Self::ConsecutiveTau { last } => format!("consecutive_tau_{last}"),
            Self::EnsembleTau { last } => format!("ensemble_tau_{last}"),
            Self::MeanTopTrueRank { n, last } => format!("top_{n}_rank_mean_{last}"),
        }
    }

    /// Its name for people.
    pub fn label(&self) -> String {
        match self {
            Self::Tau => "Kendall's tau-b".to_owned(),
            Self::Spearman => "Spearman's rho".to_owned(),
            Self::Pearson => "Pearson's r".to_owned(),
            Self::SparseTau => "sparse tau (truth to 0.1 %)".to_owned(),
            Self::TauInsideTop { percent, children } => format!("tau inside true top {percent} % ({children})"),
            Self::TopTrueRank { n } => format!("T{n}R: best true rank of {n} predicted best"),
            Self::PrecisionAtTop { k } => format!("P@top {k}"),
            Self::PrecisionAtBottom { k } => format!("P@bottom {k}"),
            Self::BestTrueRank { k } => format!("BR@{k}: best true rank"),
            Self::WorstTrueRank { k } => format!("WR@{k}: worst true rank"),
            Self::SurpassRandom { n } => format!("p(surpass random), {n} chosen"),
            Self::RunsSTau { runs } => format!("S-Tau of {runs} runs"),
            Self::GtTauMean { last } => format!("GT-Tau-Mean-{last}"),
            Self::GtTauStd { last } => format!("GT-Tau-Std-{last}"),
            Self::RecordsSTau { last } => format!("S-Tau of the last {last} records"),
            Self::ConsecutiveTau { last } => format!("consecutive tau, last {last} records"),
            Self::EnsembleTau { last } => format!("tau of the mean of {last} records"),
            Self::MeanTopTrueRank { n, last } => format!("T{n}R, mean of {last} records"),
        }
    }

    pub fn form(&self) -> Form {
        match self {
            Self::TopTrueRank { .. }
            | Self::BestTrueRank { .. }
            | Self::WorstTrueRank { .. }
            | Self::MeanTopTrueRank { .. } => Form::Rank,
            Self::PrecisionAtTop { .. } | Self::PrecisionAtBottom { .. } | Self::SurpassRandom { .. } => Form::Share,
            _ => Form::Correlation,
        }
    }

    /// Whether a bootstrap over children says how certain it is. Resampling adds to a spread over records, so the replicates of
    /// GT-Tau-Std lie above it.
    pub fn has_interval(&self) -> bool {
        self.form() == Form::Correlation && !matches!(self, Self::GtTauStd { .. })
    }

    /// Whether it compares with the truth by tau-b over all children, as the noise ceiling does.
    pub fn compares_with_ceiling(&self) -> bool {
        matches!(self, Self::Tau | Self::GtTauMean { .. } | Self::EnsembleTau { .. })
    }
}
