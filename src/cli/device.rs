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
