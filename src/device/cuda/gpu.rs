//! Buffers and launches on one GPU, in one stream.

use super::failure::failed;
use super::graph::Graph;
use super::pinned::{Free, PinnedFetch};
use super::probe;
use super::ring::{self, Ring};
use crate::device::driver::Driver;
use crate::device::repeats::Repeats;
use crate::device::{Argument, Command, DeviceError, DeviceMemory, Fetch, Launch, Properties, Unusable, modules};
use cudarc::driver::{CudaContext, CudaStream, DriverError, profiler_start, profiler_stop, result, sys};
use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The oldest compute capability that kernels are compiled for.
const OLDEST: (i32, i32) = (8, 0);

pub(super) struct Gpu {
    /// Held by whoever asks the stream for something: what one thread records as a graph is its own. Goes before the context.
    order: Mutex<Order>,
    /// Of downloads. Goes before the context.
    pinned: Free,
    context: Arc<CudaContext>,
    stream: Arc<CudaStream>,
    name: String,
    capability: (i32, i32),
    properties: Properties,
    /// Bytes in buffers.
    own: AtomicUsize,
    /// Never unloaded: they live as long as the process, as the code that they are made of.
    functions: HashMap<&'static str, Function>,
}

/// What waits in the stream's order.
struct Order {
    graphs: Repeats<Graph>,
    ring: Ring,
}

struct Function(sys::CUfunction);

// SAFETY: a handle that any thread may use while the context is current.
unsafe impl Send for Function {}
// SAFETY: as above.
unsafe impl Sync for Function {}

impl Gpu {
    pub fn open(ordinal: usize) -> Result<Self, DeviceError> {
        if !modules::embedded() {
            return Err(Unusable::NoKernels.into());
        }
        let context = probe::open(ordinal)?;
        let name = context.name().map_err(failed("asking for the GPU's name"))?;
        let capability = context.compute_capability().map_err(failed("asking for the compute capability"))?;
        if capability < OLDEST {
            return Err(Unusable::TooOld { name, capability }.into());
        }
        let properties = properties(&context).map_err(failed("asking for the GPU's properties"))?;
        let shared_bytes = properties.shared_bytes_per_block as i32;
        let stream = context.new_stream().map_err(failed("making a stream"))?;
        let mut functions = HashMap::new();
        for module in modules::MODULES {
            let Some(fatbin) = module.fatbin else { continue };
            // SAFETY: a whole fatbin, which outlives the call.
            let loaded = unsafe { result::module::load_data(fatbin.as_ptr().cast()) };
            let loaded = loaded.map_err(|error| match error.0 {
                sys::CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU => {
                    DeviceError::Architecture { name: name.clone(), architectures: modules::ARCHITECTURES.join(", ") }
                }
                _ => failed("loading kernels")(error),
            })?;
            for &kernel in module.kernels {
                let c_name = CString::new(kernel).unwrap_or_default();
                // SAFETY: the module was just loaded and is never unloaded.
                let function = unsafe { result::module::get_function(loaded, c_name) }.map_err(failed(kernel))?;
                allow_shared_memory(function, shared_bytes).map_err(failed(kernel))?;
                functions.insert(kernel, Function(function));
            }
        }
        let (order, pinned) = (Mutex::new(Order { graphs: Repeats::default(), ring: Ring::new()? }), Free::default());
        Ok(Self { order, pinned, context, stream, name, capability, properties, own: AtomicUsize::new(0), functions })
    }

    /// Makes the context current in this thread.
    fn bind(&self) -> Result<(), DeviceError> {
        self.context.bind_to_thread().map_err(failed("binding the context"))
    }

    /// Waits for this thread's turn.
    fn turn(&self) -> Result<MutexGuard<'_, Order>, DeviceError> {
        self.bind()?;
        Ok(self.order.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn start(&self, launch: &Launch, arguments: &[Argument]) -> Result<(), DeviceError> {
        let Some(Function(function)) = self.functions.get(launch.kernel) else {
            return Err(DeviceError::UnknownKernel(launch.kernel.to_owned()));
        };
        let mut pointers: Vec<*mut c_void> = arguments.iter().map(Argument::pointer).collect();
        let start = if launch.cooperative { result::launch_cooperative_kernel } else { result::launch_kernel };
        let [grid, block] = [launch.grid, launch.block].map(|[x, y, z]| (x, y, z));
        // SAFETY: the driver copies the arguments before it returns; the emulator's tests check their number and sizes.
        unsafe { start(*function, grid, block, launch.shared_bytes, self.stream.cu_stream(), &mut pointers) }
            .map_err(failed(launch.kernel))
    }

    fn set(&self, to: u64, byte: u8, bytes: usize) -> Result<(), DeviceError> {
        if bytes == 0 {
            return Ok(());
        }
        // SAFETY: the bytes lie in one buffer.
        unsafe { result::memset_d8_async(to, byte, bytes, self.stream.cu_stream()) }.map_err(failed("filling"))
    }

    fn wait(&self) -> Result<(), DeviceError> {
        self.stream.synchronize().map_err(failed("waiting for the GPU"))
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // Graphs, events and pinned memory are released in the context. One that cannot be bound has failed, and said so.
        let _ = self.bind();
    }
}

/// Lets a kernel have as much shared memory as the device has, once and for all: graphs keep launches of several sizes.
fn allow_shared_memory(function: sys::CUfunction, bytes: i32) -> Result<(), DriverError> {
    let attribute = sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
    // SAFETY: a function of a loaded module.
    unsafe { result::function::set_function_attribute(function, attribute, bytes) }
}

fn properties(context: &CudaContext) -> Result<Properties, DriverError> {
    use sys::CUdevice_attribute as Attribute;
    // The driver counts nothing below zero.
    let attribute = |attribute| context.attribute(attribute).map(|number| number.unsigned_abs());
    Ok(Properties {
        multiprocessors: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
        l2_bytes: attribute(Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?.into(),
        memory_bytes: context.total_mem()? as u64,
        shared_bytes_per_block: attribute(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?,
    })
}

impl Driver for Gpu {
    fn architecture(&self) -> String {
        let (major, minor) = self.capability;
        format!("cuda sm_{major}{minor}")
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn properties(&self) -> Properties {
        self.properties
    }

    fn memory(&self) -> Option<DeviceMemory> {
        let (free, total) = self.context.mem_get_info().ok()?;
        Some(DeviceMemory { free, total, own: self.own.load(Ordering::Relaxed) })
    }

    fn allocate(&self, name: &str, bytes: usize) -> Result<u64, DeviceError> {
        self.bind()?;
        // SAFETY: what is read from the memory is plain data, whatever its value.
        let address = unsafe { result::malloc_sync(bytes) }.map_err(|error| match error.0 {
            sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => DeviceError::out_of_memory(name, bytes, self.memory()),
            _ => failed("allocating memory")(error),
        })?;
        self.own.fetch_add(bytes, Ordering::Relaxed);
        Ok(address)
    }

    fn release(&self, address: u64, bytes: usize) {
        self.own.fetch_sub(bytes, Ordering::Relaxed);
        if self.bind().is_ok() {
            // SAFETY: an address that `allocate` returned, released once; freeing waits for launches that use it. A driver
            // that failed before fails here too, and has nothing to say that was not said.
            let _ = unsafe { result::free_sync(address) };
        }
    }

    fn upload(&self, to: u64, from: &[u8]) -> Result<(), DeviceError> {
        let mut order = self.turn()?;
        if from.len() <= ring::LONGEST {
            return order.ring.upload(&self.stream, to, from);
        }
        // SAFETY: the bytes lie in one buffer, and live until the copy is done.
        unsafe { result::memcpy_htod_async(to, from, self.stream.cu_stream()) }.map_err(failed("uploading"))?;
        self.wait()
    }

    fn download(&self, to: &mut [u8], from: u64) -> Result<(), DeviceError> {
        let _order = self.turn()?;
        // SAFETY: as above.
        unsafe { result::memcpy_dtoh_async(to, from, self.stream.cu_stream()) }.map_err(failed("downloading"))?;
        self.wait()
    }

    fn fetch(&self, from: u64, bytes: usize) -> Result<Box<dyn Fetch>, DeviceError> {
        let _order = self.turn()?;
        Ok(Box::new(PinnedFetch::new(&self.context, &self.stream, &self.pinned, from, bytes)?))
    }

    fn fill(&self, to: u64, byte: u8, bytes: usize) -> Result<(), DeviceError> {
        let _order = self.turn()?;
        self.set(to, byte, bytes)
    }

    fn launch(&self, launch: &Launch, arguments: &[Argument]) -> Result<(), DeviceError> {
        let _order = self.turn()?;
        self.start(launch, arguments)
    }

    fn run(&self, commands: &[Command]) -> Result<(), DeviceError> {
        let mut order = self.turn()?;
        let one_by_one = || {
            commands.iter().try_for_each(|command| match command {
                Command::Launch { launch, arguments } => self.start(launch, &Argument::pointers(arguments)),
                Command::Fill { to, byte, bytes } => self.set(to.address(), *byte, *bytes),
            })
        };
        match order.graphs.of(commands, || Graph::record(&self.stream, one_by_one))? {
            Some(graph) => graph.launch(&self.stream),
            None => one_by_one(),
        }
    }

    fn synchronize(&self) -> Result<(), DeviceError> {
        let _order = self.turn()?;
        self.wait()
    }

    fn start_profiler(&self) -> Result<(), DeviceError> {
        self.bind()?;
        profiler_start().map_err(failed("starting the profiler"))
    }

    fn stop_profiler(&self) -> Result<(), DeviceError> {
        self.bind()?;
        profiler_stop().map_err(failed("stopping the profiler"))
    }
}
