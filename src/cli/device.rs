//! Where to compute: device, threads, instruction set.

use crate::backend::Backend;
use crate::backend::cpu::Cpu;
use crate::backend::cuda::Cuda;
use crate::backend::host::Host;
use crate::backend::reference::Reference;
use crate::device;
use crate::ops::cuda::Storage;
use crate::simd::Level;
use crate::train::config::Precision;
use anyhow::Context;
use clap::Args;
use std::fmt;
use std::str::FromStr;

#[derive(Args)]
pub struct DeviceArguments {
    /// Where to compute: auto, cpu (f32), reference (f64), cuda, cuda:N (GPU number N) or emulator (the kernels for GPUs on the CPU,
    /// every access checked: slow). `auto` is the CPU for f32 runs, the reference for f64 runs, a GPU for bf16 runs.
    #[arg(long, default_value_t = Device::Auto, value_name = "DEVICE")]
    device: Device,
    /// Threads; RAYON_NUM_THREADS or all cores unless given. Results do not depend on it.
    #[arg(long)]
    threads: Option<usize>,
    /// Instruction set of the CPU backend: portable, avx2 or avx512; the best there is unless given.
    #[arg(long)]
    simd: Option<Level>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Device {
    Auto,
    /// f32, SIMD.
    Cpu,
    /// f64, plain loops: the oracle, slow.
    Reference,
    /// A GPU by its number.
    Cuda(usize),
    Emulator,
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "reference" => Ok(Self::Reference),
            "cuda" => Ok(Self::Cuda(0)),
            "emulator" => Ok(Self::Emulator),
            _ => {
                let number = text.strip_prefix("cuda:").and_then(|number| number.parse().ok());
                number.map(Self::Cuda).ok_or_else(|| "choose auto, cpu, reference, cuda, cuda:N or emulator".to_owned())
            }
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Reference => f.write_str("reference"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Emulator => f.write_str("emulator"),
        }
    }
}

/// Something to do on whatever device was chosen.
pub trait DeviceTask: Send {
    type Output: Send;
    fn run<B: Backend + Send>(self, backend: B) -> anyhow::Result<Self::Output>;
}

impl DeviceArguments {
    /// Takes from the arithmetic that a run recorded (`cpu LEVEL f32`, `reference f64`, `cuda sm_90 bf16`, `emulator f32`) what was not
    /// given, so that the run goes on with the same bits. What was given stays, for the run to compare.
    ///
    /// # Errors
    /// An instruction set that is not among the available ones.
    pub fn adopt(&mut self, recorded: &str, available: &[Level]) -> anyhow::Result<()> {
        let mut words = recorded.split(' ');
        let began = match words.next() {
            Some("cpu") => Device::Cpu,
            Some("cuda") => Device::Cuda(0),
            Some("emulator") => Device::Emulator,
            _ => Device::Reference,
        };
        if self.device == Device::Auto {
            self.device = began;
        }
        if let (Device::Cpu, Device::Cpu, None, Some(name)) = (self.device, began, self.simd, words.next()) {
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
    /// A precision in which the device does not compute.
    pub fn precision(&self, configured: Precision) -> anyhow::Result<Precision> {
        match (self.device, configured) {
            (Device::Cpu, Precision::F64) => anyhow::bail!(
                "the CPU backend computes in f32, but precision = \"f64\"; leave out --device cpu, or add --set precision=f32"
            ),
            (Device::Cpu, Precision::Bf16) => anyhow::bail!(
                "the CPU backend computes in f32, but precision = \"bf16\"; choose --device cuda, or add --set precision=f32"
            ),
            (device @ (Device::Cuda(_) | Device::Emulator), Precision::F64) => anyhow::bail!(
                "--device {device} computes in f32 or bf16, but precision = \"f64\"; choose --device reference, or add --set precision=f32"
            ),
            (Device::Reference, _) => Ok(Precision::F64),
            _ => Ok(configured),
        }
    }

    /// The number of the GPU that computes in a precision, if one does.
    pub fn gpu(&self, precision: Precision) -> Option<usize> {
        match self.chosen(precision) {
            Device::Cuda(number) => Some(number),
            _ => None,
        }
    }

    /// The device that computes in a precision.
    fn chosen(&self, precision: Precision) -> Device {
        match (self.device, precision) {
            (Device::Auto, Precision::F32) => Device::Cpu,
            (Device::Auto, Precision::F64) => Device::Reference,
            (Device::Auto, Precision::Bf16) => Device::Cuda(0),
            (device, _) => device,
        }
    }

    /// Runs a task on the chosen device, in a pool of the chosen number of threads.
    pub fn run<T: DeviceTask>(&self, precision: Precision, task: T) -> anyhow::Result<T::Output> {
        if self.threads == Some(0) {
            anyhow::bail!("--threads must be at least 1");
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads.unwrap_or(0)).build();
        let pool = pool.context("the threads cannot be started; lower --threads")?;
        let device = self.chosen(precision);
        anyhow::ensure!(
            self.simd.is_none() || device == Device::Cpu,
            "--simd chooses the instruction set of the CPU backend, but --device {device} computes; leave it out"
        );
        let storage = if precision == Precision::Bf16 { Storage::Bf16 } else { Storage::F32 };
        pool.install(|| match device {
            Device::Reference => task.run(Host::new(Reference)),
            Device::Cuda(number) => task.run(Cuda::new(device::Device::cuda(number)?, storage)),
            Device::Emulator => task.run(Cuda::new(emulator()?, storage)),
            Device::Auto | Device::Cpu => {
                let level = self.simd.unwrap_or_else(Level::detect);
                anyhow::ensure!(
                    Level::available().contains(&level),
                    "this processor has no {level}; leave out --simd or choose a lower level"
                );
                task.run(Host::new(Cpu::new(level)))
            }
        })
    }
}

#[cfg(unix)]
fn emulator() -> anyhow::Result<device::Device> {
    Ok(device::Device::emulator(device::emulator::Schedule::default())?)
}

#[cfg(not(unix))]
fn emulator() -> anyhow::Result<device::Device> {
    anyhow::bail!("the emulator needs a Unix system")
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
