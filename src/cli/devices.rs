//! `crosstalk devices`: where this program can compute, and what is missing where it cannot.

use crate::device::{cuda, modules};
use crate::simd::Level;

pub fn run() {
    println!("CPU: {}", processor());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let levels: Vec<String> = Level::available().iter().map(Level::to_string).collect();
    println!("  {cores} core(s) for this process, instruction sets {}", levels.join(", "));
    println!("Reference: f64 on the CPU, without vector instructions");
    match cuda::probe() {
        Err(reason) => println!("GPU: none; {reason}"),
        Ok(probe) => {
            let (major, minor) = probe.cuda_version;
            println!("GPU: {} found; the driver runs CUDA up to {major}.{minor}", probe.devices.len());
            for (ordinal, device) in probe.devices.iter().enumerate() {
                let (major, minor) = device.capability;
                let gibibytes = |bytes: usize| bytes as f64 / f64::from(1 << 30);
                let free = match device.free_bytes {
                    Some(bytes) => format!("{:.1} GiB free", gibibytes(bytes)),
                    None => "free memory unknown".to_owned(),
                };
                println!(
                    "  {ordinal}: {}, {:.1} GiB, {free}, compute capability {major}.{minor}",
                    device.name,
                    gibibytes(device.memory_bytes)
                );
            }
        }
    }
    let names: Vec<&str> = modules::MODULES.iter().flat_map(|module| module.kernels).copied().collect();
    match modules::TOOLCHAIN {
        None => println!("Kernels for GPUs: none; {}", crate::device::Unusable::NoKernels),
        Some(toolchain) => {
            let bytes: usize = modules::MODULES.iter().filter_map(|module| module.fatbin).map(<[u8]>::len).sum();
            let architectures = modules::ARCHITECTURES.join(", ");
            println!("Kernels for GPUs: {} ({:.1} KiB)", names.join(", "), bytes as f64 / 1024.0);
            println!("  for {architectures}; compiled by nvcc {toolchain}");
        }
    }
    if cfg!(unix) {
        println!("Emulator of kernels: {}", names.join(", "));
    } else {
        println!("Emulator of kernels: none on this system; it needs a Unix");
    }
}

/// The processor's name, where Linux tells.
fn processor() -> String {
    let list = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = list.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}
