//! `crosstalk data`: what data sets there are, and what is in one.

mod fetch;
pub mod missing;

use std::fmt::Write as _;

use clap::{Args, Subcommand};

use crate::data::{Dataset, Normalization, Source, Split, Validation};

/// List data sources, or look into one.
#[derive(Args)]
pub struct DataArguments {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Subcommand)]
enum DataCommand {
    /// Show which sources there are, how to name them and where to get them
    List,
    /// Read a data set and show its sizes, classes, statistics, splits and licence
    Inspect {
        /// `digits`, `cifar10:PATH` or `idx:FOLDER`
        source: Source,
    },
    /// Download a data set, or go on with a download, and check it
    Fetch(fetch::FetchArguments),
}

const SOURCES: &str = "\
digits           1,797 handwritten digits, 8x8, 10 classes; inside the program (UCI, CC BY 4.0)
cifar10:PATH     CIFAR-10, binary version: 60,000 color images, 32x32, 10 classes.
                 PATH is cifar-10-binary.tar.gz as downloaded from https://www.cs.toronto.edu/~kriz/cifar.html,
                 its folder, unpacked or not, or one .bin file (which then has no test file)
idx:FOLDER       MNIST, Fashion-MNIST, or any other set of one-channel images in IDX files.
                 FOLDER holds train-images-idx3-ubyte and train-labels-idx1-ubyte, and t10k-images-idx3-ubyte and
                 t10k-labels-idx1-ubyte for the test file; each may be .gz
                 MNIST: https://ossci-datasets.s3.amazonaws.com/mnist/
                 Fashion-MNIST: https://github.com/zalandoresearch/fashion-mnist, or Debian's dataset-fashion-mnist
                 (installed as /usr/share/datasets/fashion-mnist)

`crosstalk data fetch cifar10` (or mnist, fashion-mnist) downloads one, `crosstalk data inspect SOURCE` shows what is in one.
";

/// Runs `crosstalk data`.
///
/// # Errors
/// A data set that cannot be read or downloaded.
pub fn run(arguments: DataArguments) -> anyhow::Result<()> {
    let text = match arguments.command {
        DataCommand::List => SOURCES.to_owned(),
        DataCommand::Inspect { source } => description(&source, &source.load()?)?,
        DataCommand::Fetch(arguments) => fetch::run(&arguments)?,
    };
    print!("{text}");
    Ok(())
}

/// What `crosstalk data inspect` prints.
fn description(source: &Source, dataset: &Dataset) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let Dataset { height, width, channels, classes, training_file, .. } = dataset;
    writeln!(text, "{source}: data set `{}`", dataset.name)?;
    writeln!(text, "images     {height}x{width}, {channels} channel(s), {} bytes in memory", dataset.images.len())?;
    let test_file = dataset.test_file();
    let test_images = test_file.as_ref().map_or("none".into(), |test| test.len().to_string());
    writeln!(text, "files      training {training_file}, test {test_images}")?;

    writeln!(text, "classes    {classes}")?;
    let training_counts = dataset.class_counts(0..dataset.training_file);
    let test_counts = test_file.map(|test| dataset.class_counts(test));
    for (class, training) in training_counts.iter().enumerate() {
        let name = source.class_names().map_or_else(|| class.to_string(), |names| format!("{class} {}", names[class]));
        let test = test_counts.as_ref().map_or_else(String::new, |counts| format!(", test {}", counts[class]));
        writeln!(text, "    {name:<14} training {training}{test}")?;
    }

    let trained = 0..dataset.training_file - dataset.held_out;
    let measured = dataset.statistics(trained.clone());
    writeln!(text, "statistics of training images 0 to {} (byte / 255)", trained.end - 1)?;
    write_channels(&mut text, &measured)?;
    if measured != dataset.normalization {
        writeln!(text, "pixels are normalized by the constants of the literature")?;
        write_channels(&mut text, &dataset.normalization)?;
    }

    for (name, validation) in [("held_out", Validation::HeldOut), ("test", Validation::Test)] {
        match (Split { validation, ..Split::default() }).ranges(dataset) {
            Ok(ranges) => {
                let (training, evaluation) = (ranges.training.len(), ranges.evaluation.len());
                writeln!(
                    text,
                    "split      validation = \"{name}\": {training} training, {evaluation} evaluation images"
                )?;
            }
            Err(_) => writeln!(text, "split      validation = \"{name}\": not possible with these files")?,
        }
    }
    writeln!(text, "licence\n    {}", source.attribution().trim_end().replace('\n', "\n    "))?;
    Ok(text)
}

fn write_channels(text: &mut String, normalization: &Normalization) -> std::fmt::Result {
    for (channel, (mean, std)) in normalization.mean.iter().zip(&normalization.std).enumerate() {
        writeln!(text, "    channel {channel}      mean {mean:.8}, standard deviation {std:.8}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inspecting_the_digits_shows_sizes_counts_statistics_splits_and_their_licence() {
        let text = description(&Source::Digits, &Source::Digits.load().unwrap()).unwrap();
        for line in [
            "digits: data set `digits`",
            "images     8x8, 1 channel(s), 115008 bytes in memory",
            "files      training 1797, test none",
            "    8              training 174",
            "    channel 0      mean 0.01916148, standard deviation 0.02356123",
            "split      validation = \"held_out\": 1437 training, 360 evaluation images",
            "split      validation = \"test\": not possible with these files",
        ] {
            assert!(text.lines().any(|found| found == line), "`{line}` is not in:\n{text}");
        }
        assert!(text.contains("CC BY 4.0") && text.contains("https://doi.org/10.24432/C50P49"), "{text}");
    }

    #[test]
    fn every_source_that_can_be_named_is_listed() {
        for source in ["digits", "cifar10:PATH", "idx:FOLDER"] {
            assert!(source.parse::<Source>().is_ok());
            assert!(SOURCES.lines().any(|line| line.split_whitespace().next() == Some(source)), "{source}");
        }
    }
}
