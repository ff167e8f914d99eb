//! Kernels' source on the CPU, with every access checked: docs/cuda.md says what is found and what is not.

mod foreign;

pub use foreign::EmulatedKernel;

use super::driver::Driver;
use super::fetch::Fetched;
use super::repeats::Repeats;
use super::{
    Argument, Command, Device, DeviceError, DeviceMemory, Fault, FaultAccess, FaultKind, Fetch, Launch, Place,
    Properties,
};
use foreign::{ForeignFault, ForeignPlace, Request};
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// `MAX_SHARED_BYTES` of emulator/runtime/launch.cpp.
const SHARED_BYTES_PER_BLOCK: u32 = 227 << 10;

/// When copies by cp.async happen: every time between their start and their wait is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Copies {
    /// At the wait.
    #[default]
    Late,
    /// At once.
    Early,
}

/// Choices that a device makes as it likes; a right kernel does the same under all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Order of blocks and threads: as numbered with 0, else drawn from this seed.
    pub seed: u64,
    pub copies: Copies,
}

impl Device {
    /// An emulator with the kernels of this program.
    ///
    /// # Errors
    /// Not enough memory.
    pub fn emulator(schedule: Schedule) -> Result<Self, DeviceError> {
        Self::emulator_of(schedule, foreign::tables())
    }

    /// An emulator with these kernels, as `build/emulator.rs` compiles them.
    ///
    /// # Errors
    /// Not enough memory.
    pub fn emulator_of(schedule: Schedule, kernels: Vec<&'static [EmulatedKernel]>) -> Result<Self, DeviceError> {
        // SAFETY: no arguments; null is checked.
        let memory = NonNull::new(unsafe { foreign::crosstalk_emulator_new() });
        let memory = memory.ok_or_else(|| DeviceError::out_of_memory("emulator", 0, None))?;
        Ok(Self::new(Emulator { memory: Mutex::new(Handle(memory)), graphs: Mutex::default(), schedule, kernels }))
    }
}

/// The C++ object.
struct Handle(NonNull<foreign::Emulator>);

// SAFETY: the object belongs to no thread; it is used by one at a time, behind a mutex.
unsafe impl Send for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: made by `crosstalk_emulator_new`, and used for the last time.
        unsafe { foreign::crosstalk_emulator_delete(self.0.as_ptr()) }
    }
}

struct Emulator {
    memory: Mutex<Handle>,
    /// Stands for a GPU's graphs: what is kept is what runs.
    graphs: Mutex<Repeats<Vec<Command>>>,
    schedule: Schedule,
    kernels: Vec<&'static [EmulatedKernel]>,
}

impl Emulator {
    fn lock(&self) -> MutexGuard<'_, Handle> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kernel(&self, name: &str) -> Result<&'static EmulatedKernel, DeviceError> {
        // SAFETY: names are C strings that live as long as the program.
        let is_named = |kernel: &&EmulatedKernel| unsafe { CStr::from_ptr(kernel.name) }.to_bytes() == name.as_bytes();
        let mut kernels = self.kernels.iter().copied().flatten();
        kernels.find(is_named).ok_or_else(|| DeviceError::UnknownKernel(name.to_owned()))
    }
}

impl Driver for Emulator {
    fn architecture(&self) -> String {
        "emulator".to_owned()
    }

    fn name(&self) -> String {
        self.architecture()
    }

    /// Those of no GPU: always the same, so that what is planned by them is the same on every machine, and but for what a launch may ask
    /// for small, so that little work suffices to need more than one wave.
    fn properties(&self) -> Properties {
        Properties {
            multiprocessors: 4,
            l2_bytes: 1 << 20,
            memory_bytes: 1 << 30,
            shared_bytes_per_block: SHARED_BYTES_PER_BLOCK,
        }
    }

    fn memory(&self) -> Option<DeviceMemory> {
        None
    }

    fn allocate(&self, name: &str, bytes: usize) -> Result<u64, DeviceError> {
        let c_name = CString::new(name.replace('\0', " ")).unwrap_or_default();
        // SAFETY: the object lives; null is checked.
        let address = unsafe { foreign::crosstalk_emulator_allocate(self.lock().0.as_ptr(), c_name.as_ptr(), bytes) };
        if address.is_null() {
            return Err(DeviceError::out_of_memory(name, bytes, None));
        }
        Ok(address as u64)
    }

    fn release(&self, address: u64, _bytes: usize) {
        // SAFETY: an address that `allocate` returned, released once.
        unsafe { foreign::crosstalk_emulator_release(self.lock().0.as_ptr(), address as *mut u8) }
    }

    fn upload(&self, to: u64, from: &[u8]) -> Result<(), DeviceError> {
        // SAFETY: the bytes lie in one buffer.
        unsafe {
            foreign::crosstalk_emulator_upload(self.lock().0.as_ptr(), to as *mut u8, from.as_ptr(), from.len());
        }
        Ok(())
    }

    fn download(&self, to: &mut [u8], from: u64) -> Result<(), DeviceError> {
        let _no_launch_meanwhile = self.lock();
        // SAFETY: the bytes lie in one buffer, all of whose bytes were set when it was made.
        unsafe { std::ptr::copy_nonoverlapping(from as *const u8, to.as_mut_ptr(), to.len()) };
        Ok(())
    }

    fn fetch(&self, from: u64, bytes: usize) -> Result<Box<dyn Fetch>, DeviceError> {
        let mut there = vec![0; bytes];
        self.download(&mut there, from)?;
        Ok(Box::new(Fetched(there)))
    }

    fn fill(&self, to: u64, byte: u8, bytes: usize) -> Result<(), DeviceError> {
        self.upload(to, &vec![byte; bytes])
    }

    fn launch(&self, launch: &Launch, arguments: &[Argument]) -> Result<(), DeviceError> {
        tracing::trace!(kernel = launch.kernel, grid = ?launch.grid, "launch");
        let kernel = self.kernel(launch.kernel)?;
        // SAFETY: so many sizes, beside the kernel.
        let expected = unsafe { std::slice::from_raw_parts(kernel.argument_bytes, kernel.arguments as usize) };
        let given = arguments.iter().map(Argument::bytes);
        if !expected.iter().map(|&bytes| bytes as usize).eq(given.clone()) {
            let expected = expected.iter().map(|&bytes| bytes as usize).collect();
            return Err(DeviceError::Arguments { kernel: launch.kernel.to_owned(), expected, given: given.collect() });
        }
        let pointers: Vec<*mut c_void> = arguments.iter().map(Argument::pointer).collect();
        let request = Request {
            grid: launch.grid,
            block: launch.block,
            shared_bytes: launch.shared_bytes,
            cooperative: launch.cooperative.into(),
            seed: self.schedule.seed,
            early_copies: (self.schedule.copies == Copies::Early).into(),
            arguments: pointers.as_ptr(),
        };
        let mut fault = std::mem::MaybeUninit::<ForeignFault>::zeroed();
        // SAFETY: the arguments have the sizes that the kernel takes and outlive the launch; the fault is plain data.
        let fault = unsafe {
            foreign::crosstalk_emulator_launch(self.lock().0.as_ptr(), kernel, &request, fault.as_mut_ptr());
            fault.assume_init()
        };
        match FaultKind::from_number(fault.kind) {
            None => Ok(()),
            Some(kind) => Err(DeviceError::Fault(Box::new(describe(launch.kernel, kind, &fault)))),
        }
    }

    fn run(&self, commands: &[Command]) -> Result<(), DeviceError> {
        let mut graphs = self.graphs.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = graphs.of(commands, || Ok(commands.to_vec()))?;
        tracing::debug!(commands = commands.len(), again = kept.is_some(), "sequence");
        kept.map_or(commands, Vec::as_slice).iter().try_for_each(|command| match command {
            Command::Launch { launch, arguments } => self.launch(launch, &Argument::pointers(arguments)),
            Command::Fill { to, byte, bytes } => self.fill(to.address(), *byte, *bytes),
        })
    }

    fn synchronize(&self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn start_profiler(&self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn stop_profiler(&self) -> Result<(), DeviceError> {
        Ok(())
    }
}

fn describe(kernel: &str, kind: FaultKind, fault: &ForeignFault) -> Fault {
    let place = |place: ForeignPlace| Place { block: place.block, thread: place.thread };
    let access = || FaultAccess {
        buffer: text(&fault.buffer),
        offset: fault.offset,
        bytes: fault.bytes,
        address: fault.address,
    };
    Fault {
        kernel: kernel.to_owned(),
        kind,
        at: place(fault.at),
        other: (fault.has_other != 0).then(|| place(fault.other)),
        access: (fault.bytes != 0).then(access),
        line: (fault.line != 0).then_some(fault.line),
        detail: text(&fault.detail),
    }
}

/// The text before the first zero.
fn text(characters: &[c_char]) -> String {
    let bytes: Vec<u8> = characters.iter().map(|&character| character as u8).take_while(|&byte| byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
