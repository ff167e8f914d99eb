//! `crosstalk data fetch`: data sets from their canonical addresses.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::cli::progress::bytes_bar;
use crate::data::fetch::{Outcome, Transfer, fetch, known_sets};

#[derive(Args)]
pub struct FetchArguments {
    /// Which data set
    #[arg(value_parser = PossibleValuesParser::new(known_sets().iter().map(|set| set.name)))]
    name: String,
    /// Where to; `data/NAME` unless given
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// Take the files from this address instead of the canonical one
    #[arg(long, value_name = "ADDRESS")]
    url: Option<String>,
}

/// Downloads, and returns what is to be printed.
///
/// # Errors
/// As [`fetch`].
pub fn run(arguments: &FetchArguments) -> anyhow::Result<String> {
    let Some(set) = known_sets().iter().find(|set| set.name == arguments.name) else {
        anyhow::bail!("there is no data set `{}` to fetch; see `crosstalk data list`", arguments.name)
    };
    let folder = arguments.to.clone().unwrap_or_else(|| ["data", set.name].iter().collect());
    let bar = bytes_bar();
    let mut observe = |transfer: Transfer| {
        bar.set_message(transfer.file.to_owned());
        if let Some(total) = transfer.total {
            bar.set_length(total);
        }
        bar.set_position(transfer.received);
    };
    let outcomes = fetch(set, &folder, arguments.url.as_deref(), &mut observe);
    bar.finish_and_clear();
    let mut text = String::new();
    for (file, outcome) in outcomes? {
        let what = match outcome {
            Outcome::Downloaded => "downloaded",
            Outcome::Present => "was there",
        };
        writeln!(text, "{what}  {file}  checksum as published")?;
    }
    let source = (set.source)(&folder);
    writeln!(text, "Stored in {}: use it as --data {source}", folder.display())?;
    writeln!(text, "{}", source.attribution())?;
    Ok(text)
}
