//! Where to compute: device, threads, instruction set.

use crate::backend::Executor;
use crate::backend::cpu::Cpu;
use crate::backend::reference::Reference;
use crate::simd::Level;
use crate::train::config::Precision;
use anyhow::Context;
use clap::{Args, ValueEnum};

#[derive(Args)]
pub struct DeviceArguments {
    /// Where to compute; `auto` takes the CPU backend for f32 runs and the reference for f64 runs.
    #[arg(long, value_enum, default_value_t = Device::Auto)]
    device: Device,
    /// Threads; RAYON_NUM_THREADS or all cores unless given. Results do not depend on it.
    #[arg(long)]
    threads: Option<usize>,
    /// Instruction set of the CPU backend: portable, avx2 or avx512; the best there is unless given.
    #[arg(long)]
    simd: Option<Level>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Device {
    Auto,
    /// f32, SIMD.
    Cpu,
    /// f64, plain loops: the oracle, slow.
    Reference,
}

/// Something to do on whatever device was chosen.
pub trait DeviceTask: Send {
    type Output: Send;
    fn run<E: Executor + Send>(self, executor: E) -> anyhow::Result<Self::Output>;
}

impl DeviceArguments {
    /// Takes from the arithmetic that a run recorded (`cpu LEVEL f32`, `reference f64`) what was not given, so that the run goes on
    /// with the same bits. What was given stays, for the run to compare.
    ///
    /// # Errors
    /// An instruction set that is not among the available ones.
    pub fn adopt(&mut self, recorded: &str, available: &[Level]) -> anyhow::Result<()> {
        let mut words = recorded.split(' ');
        let on_cpu = words.next() == Some("cpu");
        if self.device == Device::Auto {
            self.device = if on_cpu { Device::Cpu } else { Device::Reference };
        }
        if let (Device::Cpu, true, None, Some(name)) = (self.device, on_cpu, self.simd, words.next()) {
            let level = available.iter().find(|level| level.to_string() == name);
            let lacking = || {
                format!(
                    "it began with {name}, which this processor lacks; resume it on one that has it, or start from its weights with --from"
                )
            };
            self.simd = Some(*level.with_context(lacking)?);
        }
        Ok(())
    }

    /// The precision of a run that is configured for `configured`: what the device computes in.
    ///
    /// # Errors
    /// An f64 run on the CPU backend.
    pub fn precision(&self, configured: Precision) -> anyhow::Result<Precision> {
        match (self.device, configured) {
            (Device::Cpu, Precision::F64) => anyhow::bail!(
                "the CPU backend computes in f32, but precision = \"f64\"; leave out --device cpu, or add --set precision=f32"
            ),
            (Device::Reference, _) => Ok(Precision::F64),
            _ => Ok(configured),
        }
    }

    /// Runs a task on the chosen device, in a pool of the chosen number of threads.
    pub fn run<T: DeviceTask>(&self, precision: Precision, task: T) -> anyhow::Result<T::Output> {
        if self.threads == Some(0) {
            anyhow::bail!("--threads must be at least 1");
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads.unwrap_or(0)).build();
        let pool = pool.context("the threads cannot be started; lower --threads")?;
        let reference = match self.device {
            Device::Reference => true,
            Device::Cpu => false,
            Device::Auto => precision == Precision::F64,
        };
        anyhow::ensure!(
            !reference || self.simd.is_none(),
            "--simd chooses the instruction set of the CPU backend, but the reference computes; leave it out"
        );
        pool.install(|| {
            if reference {
                task.run(Reference)
            } else {
                let level = self.simd.unwrap_or_else(Level::detect);
                anyhow::ensure!(
                    Level::available().contains(&level),
                    "this processor has no {level}; leave out --simd or choose a lower level"
                );
                task.run(Cpu::new(level))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        device: DeviceArguments,
    }

    /// `adopt` with these arguments on a processor of these levels: the level, or the error.
    fn adopted(arguments: &[&str], recorded: &str, available: &[Level]) -> Result<Option<Level>, String> {
        let parsed = CommandLine::try_parse_from([&["program"], arguments].concat());
        let mut device = parsed.map_err(|error| error.to_string())?.device;
        device.adopt(recorded, available).map_err(|error| error.to_string())?;
        Ok(device.simd)
    }

    #[test]
    fn a_recorded_level_is_taken_unless_another_is_given() {
        let all = [Level::Portable, Level::Avx2, Level::Avx512];
        assert_eq!(adopted(&[], "cpu avx2 f32", &all), Ok(Some(Level::Avx2)));
        assert_eq!(adopted(&["--device", "cpu"], "cpu portable f32", &all), Ok(Some(Level::Portable)));
        assert_eq!(adopted(&["--simd", "avx512"], "cpu avx2 f32", &all), Ok(Some(Level::Avx512)));
        assert_eq!(adopted(&[], "reference f64", &all), Ok(None));
        assert_eq!(adopted(&["--device", "reference"], "cpu avx2 f32", &all), Ok(None));
    }

    #[test]
    fn a_recorded_level_that_the_processor_lacks_is_refused_by_name() {
        let error = adopted(&[], "cpu avx512 f32", &[Level::Portable, Level::Avx2]).expect_err("a refusal");
        assert!(error.contains("avx512, which this processor lacks; resume it on one that has it"), "{error}");
    }
}
