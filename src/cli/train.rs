//! `crosstalk train`.

use super::run::RunArguments;
use crate::network::Sharing;
use crate::space::{Child, Space};
use crate::train::Checkpoint;
use crate::train::config::{self, ChildOrder, ConfigError, DERIVED, RunConfig, StartConfig, StepChildren};
use clap::Args;
use std::path::Path;
use std::process::ExitCode;

#[derive(Args)]
pub struct TrainArguments {
    #[command(flatten)]
    run: RunArguments,
    /// Train these children only, in this order: a list with commas, `all` or `every:N`.
    #[arg(long, conflicts_with = "resume")]
    children: Option<String>,
    /// Train and evaluate this child alone: a standalone network, whatever the configuration says of children.
    #[arg(long, conflicts_with_all = ["children", "resume"])]
    child: Option<String>,
}

pub fn run(arguments: TrainArguments) -> anyhow::Result<ExitCode> {
    let TrainArguments { run, children, child } = arguments;
    run.run(|run| resolve(run, children.as_deref(), child.as_deref()))
}

/// The configuration that the arguments describe.
fn resolve(run: &RunArguments, children: Option<&str>, child: Option<&str>) -> anyhow::Result<RunConfig> {
    let mut config = configuration(run, config::load, config::from_text)?;
    if let Some(text) = children {
        let space = config.network.load_space()?;
        train_only(&mut config, &space, &space.parse_children(text)?);
    }
    if let Some(text) = child {
        let space = config.network.load_space()?;
        let child = space.parse_child(text)?;
        config.evaluation.children = space.format_child(&child);
        config.interference.children = None;
        config.step.reduce = None;
        train_only(&mut config, &space, &[child]);
    }
    Ok(config)
}

/// The configuration of a preset or file, which `load` reads, or of a checkpoint to go on from, whose text `parse` reads.
pub fn configuration(
    arguments: &RunArguments,
    load: fn(&str, &[String]) -> Result<RunConfig, ConfigError>,
    parse: fn(&str, &str, &[String]) -> Result<RunConfig, ConfigError>,
) -> anyhow::Result<RunConfig> {
    let assignments = arguments.assignments();
    match (&arguments.config, &arguments.from) {
        (Some(name), from) => {
            let mut config = load(name, &assignments)?;
            config.start = from.clone().map(|from| StartConfig { from, step: 0, mini_batches: 0 }).or(config.start);
            Ok(config)
        }
        (None, Some(from)) => {
            let config = going_on(from)?.to_toml()?;
            Ok(parse(&config, &from.display().to_string(), &assignments)?)
        }
        (None, None) => anyhow::bail!("name a preset, a TOML file, --from or --resume"),
    }
}

/// Trains these children in turns, one a step.
fn train_only(config: &mut RunConfig, space: &Space, children: &[Child]) {
    config.step.children = StepChildren::Cycle;
    config.step.lanes = None;
    config.architecture = None;
    let names: Vec<String> = children.iter().map(|child| space.format_child(child)).collect();
    if config.evaluation.children == DERIVED {
        config.evaluation.children = names.join(",");
    }
    config.step.order = ChildOrder::List(names);
}

/// The configuration that goes on from a checkpoint, at the constant rate of its last step.
fn going_on(from: &Path) -> anyhow::Result<RunConfig> {
    let checkpoint = Checkpoint::read(from, 0)?;
    let mut config = checkpoint.config;
    config.name = format!("{}-from-{}", config.name, checkpoint.step);
    config.replicas = 1;
    config.optimizer.hold_rate(checkpoint.learning_rate.unwrap_or(config.optimizer.learning_rate));
    let [init, data, order] = config.seed.of(checkpoint.replica);
    (config.seed.init, config.seed.data, config.seed.order) = (Some(init), Some(data), Some(order));
    config.interference.children = None;
    hold_children(&mut config)?;
    let (step, mini_batches) = (checkpoint.step, checkpoint.mini_batches);
    config.start = Some(StartConfig { from: checkpoint.path, step, mini_batches });
    Ok(config)
}

/// Keeps the private copies of the children of a run whose continuation may train fewer of them.
fn hold_children(config: &mut RunConfig) -> anyhow::Result<()> {
    if config.network.sharing != Sharing::All && config.network.children.is_none() {
        config.network.children = Some(match &config.step.order {
            ChildOrder::List(names) => names.clone(),
            _ => {
                let space = config.network.load_space()?;
                space.enumerate().map(|child| space.format_child(&child)).collect()
            }
        });
    }
    Ok(())
}
