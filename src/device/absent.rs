//! A device that is not there: addresses without memory, launches that compute nothing. For what the host does by itself: planning steps, and
//! measuring how long preparing them takes.

use super::driver::Driver;
use super::facts::DeviceFacts;
use super::fetch::Fetched;
use super::{Argument, Command, Device, DeviceError, DeviceMemory, Fetch, Launch, Properties};
use std::sync::atomic::{AtomicU64, Ordering};

/// Every buffer starts at a multiple of it.
const ALIGNMENT: u64 = 256;

impl Device {
    /// A device of this model that is not there: whatever is read of it is zero.
    pub fn absent(facts: DeviceFacts) -> Self {
        Self::new(Absent { facts, end: AtomicU64::new(ALIGNMENT) })
    }
}

struct Absent {
    facts: DeviceFacts,
    /// Of the addresses given away.
    end: AtomicU64,
}

impl Driver for Absent {
    fn architecture(&self) -> String {
        format!("absent {}", self.facts.architecture)
    }

    fn name(&self) -> String {
        format!("absent {}", self.facts.title)
    }

    fn properties(&self) -> Properties {
        self.facts.properties()
    }

    fn memory(&self) -> Option<DeviceMemory> {
        None
    }

    fn allocate(&self, _name: &str, bytes: usize) -> Result<u64, DeviceError> {
        Ok(self.end.fetch_add((bytes as u64).next_multiple_of(ALIGNMENT), Ordering::Relaxed))
    }

    fn release(&self, _address: u64, _bytes: usize) {}

    fn upload(&self, _to: u64, _from: &[u8]) -> Result<(), DeviceError> {
        Ok(())
    }

    fn download(&self, to: &mut [u8], _from: u64) -> Result<(), DeviceError> {
        to.fill(0);
        Ok(())
    }

    fn fetch(&self, _from: u64, bytes: usize) -> Result<Box<dyn Fetch>, DeviceError> {
        Ok(Box::new(Fetched(vec![0; bytes])))
    }

    fn fill(&self, _to: u64, _byte: u8, _bytes: usize) -> Result<(), DeviceError> {
        Ok(())
    }

    fn launch(&self, _launch: &Launch, _arguments: &[Argument]) -> Result<(), DeviceError> {
        Ok(())
    }

    fn run(&self, _commands: &[Command]) -> Result<(), DeviceError> {
        Ok(())
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
