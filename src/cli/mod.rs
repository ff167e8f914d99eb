//! The command line: one file per subcommand.

#[macro_use]
mod output;
mod checkpoint;
mod child;
mod data;
mod device;
mod devices;
mod eval;
mod interfere;
mod metrics;
mod plan;
mod planned;
mod profile;
mod progress;
mod replay;
mod results;
mod resumable;
mod run;
mod search;
mod space;
mod train;
mod trained_children;
mod usage;
mod weights;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// Trains weight-sharing supernets and measures how much the children that share the weights disturb each other.
#[derive(Parser)]
#[command(name = "crosstalk", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a supernet from a preset or a TOML file, and evaluate its children.
    Train(train::TrainArguments),
    /// Search for a child by architecture parameters, and evaluate it.
    Search(search::SearchArguments),
    /// Evaluate children of a checkpoint.
    Eval(eval::EvalArguments),
    /// Measure how a step on each child changes the others.
    Interfere(interfere::InterfereArguments),
    /// Repeat a PyTorch run from a trace folder and compare every number.
    Replay(replay::ReplayArguments),
    /// Compare the ranking of children in a table with their truth in another.
    Metrics(metrics::MetricsArguments),
    /// Show what a step would be on a GPU that need not be there: launches, memory, and the time of every kernel at least.
    Plan(plan::PlanArguments),
    /// Train a few steps without a run folder, time them beside the cost model, and read what ncu measured of their kernels.
    Profile(profile::ProfileArguments),
    /// Search spaces.
    Space(space::SpaceArguments),
    /// Data sets.
    Data(data::DataArguments),
    /// Weights in .safetensors files.
    Weights(weights::WeightsArguments),
    /// Where this program can compute, and what is missing where it cannot.
    Devices,
}

/// Parses the arguments, runs the subcommand, prints its error.
pub fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).without_time().with_target(false).init();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() && error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = writeln!(std::io::stderr(), "{}", usage::sentence(&error));
            return ExitCode::from(error.exit_code() as u8);
        }
        // Help and version, asked for or in place of a missing subcommand.
        Err(text) => text.exit(),
    };
    let done = match arguments.command {
        Command::Train(arguments) => train::run(arguments),
        Command::Search(arguments) => search::run(arguments),
        Command::Eval(arguments) => eval::run(arguments),
        Command::Interfere(arguments) => interfere::run(arguments),
        Command::Replay(arguments) => replay::run(arguments),
        Command::Metrics(arguments) => metrics::run(arguments).map(|()| ExitCode::SUCCESS),
        Command::Plan(arguments) => plan::run(arguments).map(|()| ExitCode::SUCCESS),
        Command::Profile(arguments) => profile::run(arguments).map(|()| ExitCode::SUCCESS),
        Command::Space(arguments) => space::run(arguments).map(|()| ExitCode::SUCCESS),
        Command::Data(arguments) => data::run(arguments).map(|()| ExitCode::SUCCESS),
        Command::Weights(arguments) => weights::run(arguments),
        Command::Devices => {
            devices::run();
            Ok(ExitCode::SUCCESS)
        }
    };
    let error = match done {
        Ok(code) => match output::failure() {
            None => return code,
            Some(failure) => failure,
        },
        Err(error) => format!("{error:#}"),
    };
    // Nowhere is left to say that standard error is closed.
    let _ = writeln!(std::io::stderr(), "error: {error}");
    ExitCode::FAILURE
}
