//! What can be wrong with a configuration.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("there is no preset `{name}`; presets are {known}, or give a path that ends in .toml")]
    UnknownPreset { name: String, known: String },
    #[error("{} cannot be read ({cause}); check the path: it must be a TOML file", path.display())]
    Read { path: PathBuf, cause: std::io::Error },
    #[error("{origin}: {cause}")]
    Syntax { origin: String, cause: String },
    #[error("--set {assignment}: write KEY=VALUE, for example --set optimizer.learning_rate=0.05")]
    Assignment { assignment: String },
    #[error("`{key}` {problem}")]
    Value { key: &'static str, problem: String },
    #[error("the configuration cannot be written as TOML: {cause}")]
    Write { cause: String },
}
