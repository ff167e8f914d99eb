//! Text tables and plots of recorded results.
