//! Presets, files and single overridden keys.

use super::architecture::make_search;
use super::{ConfigError, RunConfig};
use std::path::Path;
use toml::{Table, Value};

const PRESETS: [(&str, &str); 8] = [
    ("quick", include_str!("../../../presets/quick.toml")),
    ("paper", include_str!("../../../presets/paper.toml")),
    ("fashion", include_str!("../../../presets/fashion.toml")),
    ("nasbench201", include_str!("../../../presets/nasbench201.toml")),
    ("nasbench201-small", include_str!("../../../presets/nasbench201-small.toml")),
    ("nasbench201-standalone", include_str!("../../../presets/nasbench201-standalone.toml")),
    ("darts", include_str!("../../../presets/darts.toml")),
    ("darts-small", include_str!("../../../presets/darts-small.toml")),
];

/// Names of the presets.
pub fn built_in_names() -> Vec<&'static str> {
    PRESETS.iter().map(|(name, _)| *name).collect()
}

/// A preset by name or a file by its path, with `KEY=VALUE` assignments on top, checked.
///
/// # Errors
/// An unknown preset, an unreadable file, an unknown key, a wrong type or value: each names the place.
pub fn load(name_or_path: &str, assignments: &[String]) -> Result<RunConfig, ConfigError> {
    let (text, origin) = text_of(name_or_path)?;
    from_text(&text, &origin, assignments)
}

/// The same, turned into a search before the assignments: a mixture in place of children, the derived child evaluated at the end.
///
/// # Errors
/// As [`load`].
pub fn load_search(name_or_path: &str, assignments: &[String]) -> Result<RunConfig, ConfigError> {
    let (text, origin) = text_of(name_or_path)?;
    search_from_text(&text, &origin, assignments)
}

/// A preset's text or a file's, and what to call it.
fn text_of(name_or_path: &str) -> Result<(String, String), ConfigError> {
    if let Some((name, text)) = PRESETS.iter().find(|(name, _)| *name == name_or_path) {
        return Ok(((*text).to_owned(), format!("preset {name}")));
    }
    if !name_or_path.ends_with(".toml") {
        let known = built_in_names().join(", ");
        return Err(ConfigError::UnknownPreset { name: name_or_path.to_owned(), known });
    }
    let path = Path::new(name_or_path);
    let text = std::fs::read_to_string(path).map_err(|cause| ConfigError::Read { path: path.to_owned(), cause })?;
    Ok((text, name_or_path.to_owned()))
}

/// A configuration from TOML text; `origin` names it in errors.
///
/// # Errors
/// As [`load`].
pub fn from_text(text: &str, origin: &str, assignments: &[String]) -> Result<RunConfig, ConfigError> {
    let syntax = |cause: toml::de::Error| ConfigError::Syntax { origin: origin.to_owned(), cause: one_line(&cause) };
    if assignments.is_empty() {
        let config: RunConfig = toml::from_str(text).map_err(syntax)?;
        config.validate()?;
        return Ok(config);
    }
    from_changed(read_table(text, origin)?, origin, assignments)
}

/// A configuration from TOML text, turned into a search as by [`load_search`].
///
/// # Errors
/// As [`load`].
pub fn search_from_text(text: &str, origin: &str, assignments: &[String]) -> Result<RunConfig, ConfigError> {
    let mut table = read_table(text, origin)?;
    make_search(&mut table);
    from_changed(table, origin, assignments)
}

/// A configuration from TOML that was read already, with assignments on top.
fn from_changed(before: Table, origin: &str, assignments: &[String]) -> Result<RunConfig, ConfigError> {
    let mut table = before.clone();
    for assignment in assignments {
        assign(&mut table, assignment)?;
    }
    match from_table(table, origin) {
        Err(ConfigError::Syntax { cause, .. }) => Err(blamed(before, origin, assignments, cause)),
        done => done,
    }
}

/// The error of a configuration that has a key or a type wrong: of the first assignment that brings it in, or of `origin` if that is
/// wrong without any. `cause` is what all assignments together lead to.
fn blamed(mut table: Table, origin: &str, assignments: &[String], cause: String) -> ConfigError {
    let problem = |table: &Table| match from_table(table.clone(), origin) {
        Err(ConfigError::Syntax { cause, .. }) => Some(cause),
        _ => None,
    };
    if problem(&table).is_none() {
        for assignment in assignments {
            if let Err(error) = assign(&mut table, assignment) {
                return error;
            }
            if let Some(cause) = problem(&table) {
                return ConfigError::Syntax { origin: format!("--set {assignment}"), cause };
            }
        }
    }
    ConfigError::Syntax { origin: origin.to_owned(), cause }
}

/// TOML as it is, not yet a configuration; `origin` names it in errors.
///
/// # Errors
/// Text that is no TOML, with its place.
pub fn read_table(text: &str, origin: &str) -> Result<Table, ConfigError> {
    toml::from_str(text).map_err(|cause| ConfigError::Syntax { origin: origin.to_owned(), cause: one_line(&cause) })
}

/// A configuration from TOML that was read already; `origin` names it in errors.
///
/// # Errors
/// As [`load`].
pub fn from_table(table: Table, origin: &str) -> Result<RunConfig, ConfigError> {
    let syntax = |cause: toml::de::Error| ConfigError::Syntax { origin: origin.to_owned(), cause: one_line(&cause) };
    let config: RunConfig = Value::Table(table).try_into().map_err(syntax)?;
    config.validate()?;
    Ok(config)
}

/// Sets one dotted key. A value that is no TOML is taken as text, and so is a single child that looks like a number (`111`). `steps`
/// and `epochs` replace each other.
fn assign(table: &mut Table, assignment: &str) -> Result<(), ConfigError> {
    let wrong = || ConfigError::Assignment { assignment: assignment.to_owned() };
    let (key, value) = assignment.split_once('=').ok_or_else(wrong)?;
    let (key, value) = (key.trim(), value.trim());
    let parsed = toml::from_str::<Table>(&format!("value = {value}")).ok().and_then(|mut t| t.remove("value"));
    let text = || Value::String(value.to_owned());
    let value = match parsed {
        Some(Value::Integer(_)) if matches!(key, "evaluation.children" | "interference.children") => text(),
        parsed => parsed.unwrap_or_else(text),
    };
    match key {
        "steps" => drop(table.remove("epochs")),
        "epochs" => drop(table.remove("steps")),
        _ => {}
    }
    let mut parts = key.split('.').peekable();
    let mut place = table;
    while let Some(part) = parts.next() {
        if part.is_empty() {
            return Err(wrong());
        }
        if parts.peek().is_none() {
            place.insert(part.to_owned(), value);
            return Ok(());
        }
        let next = place.entry(part).or_insert_with(|| Value::Table(Table::new()));
        place = next.as_table_mut().ok_or_else(wrong)?;
    }
    Err(wrong())
}

/// The message of a TOML error without its drawing, but with its line.
fn one_line(cause: &toml::de::Error) -> String {
    let text = cause.to_string();
    let place = text.lines().next().filter(|line| line.starts_with("TOML parse error"));
    match place.and_then(|line| line.strip_prefix("TOML parse error at ")) {
        Some(place) => format!("{place}: {}", cause.message()),
        None => text.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" "),
    }
}
