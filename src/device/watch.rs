//! A device whose memory can be seen after every launch: for tests of whole steps, whose kernels use the same memory again and again.

use super::driver::Driver;
use super::{Argument, Command, Device, DeviceError, DeviceMemory, Fetch, Launch, Pointer, Properties};
use bytemuck::Pod;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A launch that has run.
pub struct Launched<'a> {
    pub launch: &'a Launch,
    arguments: &'a [Argument],
    watched: &'a Watched,
}

impl Launched<'_> {
    /// The pointer that is argument `index`.
    ///
    /// # Panics
    /// If there is no such argument, or it is no pointer.
    pub fn pointer(&self, index: usize) -> Pointer {
        self.arguments[index].read()
    }

    /// `len` elements from an address on.
    ///
    /// # Errors
    /// A launch that failed, or an error of the driver.
    ///
    /// # Panics
    /// If they do not lie in one buffer.
    pub fn read<T: Pod>(&self, from: Pointer, len: usize) -> Result<Vec<T>, DeviceError> {
        let mut values = vec![T::zeroed(); len];
        self.watched.assert_inside(from.address(), std::mem::size_of_val(&values[..]));
        self.watched.driver.download(bytemuck::cast_slice_mut(&mut values), from.address())?;
        Ok(values)
    }
}

impl Device {
    /// This device, with `watch` called after every launch that did not fail at once, also of those in sequences, which run one by one.
    pub fn watched(self, watch: impl Fn(&Launched) + Send + Sync + 'static) -> Self {
        Self::new(Watched { driver: self.driver, buffers: Mutex::default(), watch: Box::new(watch) })
    }
}

struct Watched {
    driver: Arc<dyn Driver>,
    /// Bytes of the buffer at an address.
    buffers: Mutex<BTreeMap<u64, usize>>,
    watch: Box<dyn Fn(&Launched) + Send + Sync>,
}

impl Watched {
    fn buffers(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn assert_inside(&self, address: u64, bytes: usize) {
        let buffers = self.buffers();
        let buffer = buffers.range(..=address).next_back();
        let room = buffer.map_or(0, |(start, bytes)| (start + *bytes as u64).saturating_sub(address));
        assert!(bytes as u64 <= room, "{bytes} bytes of a buffer");
    }
}

impl Driver for Watched {
    fn architecture(&self) -> String {
        self.driver.architecture()
    }

    fn name(&self) -> String {
        self.driver.name()
    }

    fn properties(&self) -> Properties {
        self.driver.properties()
    }

    fn is_watched(&self) -> bool {
        true
    }

    fn memory(&self) -> Option<DeviceMemory> {
        self.driver.memory()
    }

    fn allocate(&self, name: &str, bytes: usize) -> Result<u64, DeviceError> {
        let address = self.driver.allocate(name, bytes)?;
        self.buffers().insert(address, bytes);
        Ok(address)
    }

    fn release(&self, address: u64, bytes: usize) {
        self.buffers().remove(&address);
        self.driver.release(address, bytes);
    }

    fn upload(&self, to: u64, from: &[u8]) -> Result<(), DeviceError> {
        self.driver.upload(to, from)
    }

    fn download(&self, to: &mut [u8], from: u64) -> Result<(), DeviceError> {
        self.driver.download(to, from)
    }

    fn fetch(&self, from: u64, bytes: usize) -> Result<Box<dyn Fetch>, DeviceError> {
        self.driver.fetch(from, bytes)
    }

    fn fill(&self, to: u64, byte: u8, bytes: usize) -> Result<(), DeviceError> {
        self.driver.fill(to, byte, bytes)
    }

    fn launch(&self, launch: &Launch, arguments: &[Argument]) -> Result<(), DeviceError> {
        self.driver.launch(launch, arguments)?;
        (self.watch)(&Launched { launch, arguments, watched: self });
        Ok(())
    }

    /// One by one, to see each.
    fn run(&self, commands: &[Command]) -> Result<(), DeviceError> {
        commands.iter().try_for_each(|command| match command {
            Command::Launch { launch, arguments } => self.launch(launch, &Argument::pointers(arguments)),
            Command::Fill { to, byte, bytes } => self.fill(to.address(), *byte, *bytes),
        })
    }

    fn synchronize(&self) -> Result<(), DeviceError> {
        self.driver.synchronize()
    }

    fn start_profiler(&self) -> Result<(), DeviceError> {
        self.driver.start_profiler()
    }

    fn stop_profiler(&self) -> Result<(), DeviceError> {
        self.driver.stop_profiler()
    }
}
