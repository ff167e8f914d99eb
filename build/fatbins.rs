//! One fatbin a file of kernels, with machine code for every architecture and PTX for later ones.

use crate::nvcc::{self, Nvcc};
use crate::source::Source;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::{env, fs, thread};

/// Environment variables that decide, beside those of nvcc's place.
pub const VARIABLES: &[&str] = &["CROSSTALK_CUDA_ARCHS", "CROSSTALK_REQUIRE_NVCC"];

/// A100; RTX 30; RTX 40 and L4; H100 and H200; B200; RTX 50.
const ARCHITECTURES: &str = "80,86,89,90a,100a,120";

const OPTIONS: [&str; 8] = [
    "-fatbin",
    "-std=c++17",
    "-O3",
    "-lineinfo",
    "--compress-mode=size",
    "-Werror=all-warnings",
    // A kernel that spills registers is a bug here.
    "-Xptxas=-warn-spills,-Werror",
    "-Xptxas=-warn-lmem-usage",
];

/// What was built.
#[derive(Default)]
pub struct Built {
    /// One file for each source; empty if there was no nvcc.
    pub fatbins: Vec<PathBuf>,
    /// As in `sm_90a`, or `compute_80` for PTX.
    pub architectures: Vec<String>,
    /// nvcc's version.
    pub toolchain: Option<String>,
}

/// # Errors
/// A kernel that does not compile, an nvcc that does not run, or none where `CROSSTALK_REQUIRE_NVCC` is 1.
pub fn build(root: &Path, out: &Path, sources: &[Source]) -> Result<Built, String> {
    let Some(nvcc) = nvcc::find(root)? else {
        let required = env::var("CROSSTALK_REQUIRE_NVCC").is_ok_and(|value| value == "1");
        let lacking =
            "CROSSTALK_REQUIRE_NVCC is 1, but there is no nvcc: run scripts/cuda-toolchain, or set NVCC or CUDA_HOME";
        return if required { Err(lacking.to_owned()) } else { Ok(Built::default()) };
    };
    let listed = env::var("CROSSTALK_CUDA_ARCHS").unwrap_or_else(|_| ARCHITECTURES.to_owned());
    let numbers: Vec<&str> = listed.split(',').map(str::trim).filter(|number| !number.is_empty()).collect();
    let plain = |number: &&&str| number.bytes().all(|byte| byte.is_ascii_digit());
    let mut options: Vec<String> = OPTIONS.map(str::to_owned).to_vec();
    let mut architectures: Vec<String> = numbers.iter().map(|number| format!("sm_{number}")).collect();
    options.extend(numbers.iter().map(|number| format!("-gencode=arch=compute_{number},code=sm_{number}")));
    // Machine code of `90a` and the like runs on that architecture alone; PTX of the oldest runs on every later one.
    if let Some(oldest) = numbers.iter().filter(plain).min_by_key(|number| number.parse::<u32>().unwrap_or(u32::MAX)) {
        options.push(format!("-gencode=arch=compute_{oldest},code=compute_{oldest}"));
        architectures.push(format!("compute_{oldest}"));
    }
    let headers = headers(&root.join("kernels"))?;
    let mut jobs: VecDeque<Job> =
        sources.iter().map(|source| Job::new(&nvcc, &options, &headers, source, out)).collect();
    let fatbins = jobs.iter().map(|job| job.fatbin.clone()).collect();
    jobs.retain(|job| !job.is_done());
    run(&nvcc, &options, jobs)?;
    Ok(Built { fatbins, architectures, toolchain: Some(nvcc.version) })
}

/// The text of every header, which may be part of any kernel.
fn headers(folder: &Path) -> Result<String, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "cuh"));
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))).collect()
}

/// One file to compile. Its mark tells what it was last compiled from.
struct Job {
    source: PathBuf,
    fatbin: PathBuf,
    mark: PathBuf,
    inputs: String,
}

impl Job {
    fn new(nvcc: &Nvcc, options: &[String], headers: &str, source: &Source, out: &Path) -> Self {
        let mut hasher = DefaultHasher::new();
        (&nvcc.version, options, headers, fs::read(&source.path).ok()).hash(&mut hasher);
        let file = |extension: &str| out.join(&source.name).with_extension(extension);
        let (fatbin, mark) = (file("fatbin"), file("inputs"));
        Self { source: source.path.clone(), fatbin, mark, inputs: format!("{:016x}", hasher.finish()) }
    }

    fn is_done(&self) -> bool {
        self.fatbin.is_file() && fs::read_to_string(&self.mark).is_ok_and(|mark| mark == self.inputs)
    }

    fn start(&self, nvcc: &Nvcc, options: &[String]) -> Result<Child, String> {
        let mut command = Command::new(&nvcc.path);
        command
            .args(options)
            .arg("-o")
            .arg(&self.fatbin)
            .arg(&self.source)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().map_err(|error| format!("{} cannot be run: {error}", nvcc.path.display()))
    }

    fn finish(&self, child: Child) -> Result<(), String> {
        let name = self.source.display();
        let output = child.wait_with_output().map_err(|error| format!("nvcc on {name}: {error}"))?;
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        if !output.status.success() {
            return Err(format!("nvcc refuses {name}:\n{said}"));
        }
        said.lines().for_each(|line| println!("cargo:warning={line}"));
        fs::write(&self.mark, &self.inputs).map_err(|error| format!("{}: {error}", self.mark.display()))
    }
}

/// Compiles everything, as many files at a time as there are cores.
fn run(nvcc: &Nvcc, options: &[String], mut jobs: VecDeque<Job>) -> Result<(), String> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut running: VecDeque<(Job, Child)> = VecDeque::new();
    loop {
        while running.len() < cores
            && let Some(job) = jobs.pop_front()
        {
            let child = job.start(nvcc, options)?;
            running.push_back((job, child));
        }
        let Some((job, child)) = running.pop_front() else { return Ok(()) };
        job.finish(child)?;
    }
}
