//! `crosstalk search`.

use super::run::RunArguments;
use super::train::configuration;
use crate::train::{config, run_config};
use anyhow::ensure;
use clap::{Args, Subcommand};
use std::process::ExitCode;

#[derive(Args)]
pub struct SearchArguments {
    #[command(subcommand)]
    method: Method,
}

#[derive(Subcommand)]
enum Method {
    /// First-order DARTS: every step moves the architecture parameters, by Adam on one part of the training images, then the weights of
    /// the mixture of all candidates on the other part. A preset or file of `train` becomes a search over its network and data.
    Darts(RunArguments),
}

pub fn run(arguments: SearchArguments) -> anyhow::Result<ExitCode> {
    let Method::Darts(arguments) = arguments.method;
    if let Some(folder) = &arguments.resume {
        let (searches, name) = (run_config(folder)?.is_search(), folder.display());
        ensure!(searches, "the run in {name} is no search; go on with it by `crosstalk train --resume {name}`");
    }
    arguments.run(|arguments| configuration(arguments, config::load_search, config::search_from_text))
}
