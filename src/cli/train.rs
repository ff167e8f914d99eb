//! `crosstalk train`.

use super::run::RunArguments;
use super::trained_children::{restrict_to_child, restrict_to_children};
use crate::network::Sharing;
use crate::train::Checkpoint;
use crate::train::config::{self, ChildOrder, ConfigError, RunConfig, StartConfig};
use clap::Args;
use std::path::Path;
use std::process::ExitCode;

#[derive(Args)]
pub struct TrainArguments {
    #[command(flatten)]
    run: RunArguments,
    /// Train these children only, in this order: a list with commas, `all`, `every:N` or `sample:N`. Where the configuration evaluates or
    /// measures `all`, `every:N` or `sample:N` children, they are of these too, unless --set says otherwise.
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
        restrict_to_children(&mut config, text, &run.assignments())?;
    }
    if let Some(text) = child {
        restrict_to_child(&mut config, text)?;
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
