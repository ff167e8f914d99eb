//! Which driver and which GPUs there are. Never panics, whatever is installed.

use super::failure::describe;
use crate::device::{DeviceError, Unusable};
use cudarc::driver::{CudaContext, DriverError, result, sys};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// One GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    pub name: String,
    /// Compute capability: major, minor.
    pub capability: (i32, i32),
    pub memory_bytes: usize,
    /// Now; `None` where the GPU lets nobody in, as one that another process has for itself.
    pub free_bytes: Option<usize>,
}

/// What the driver says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The newest version of CUDA that the driver runs: major, minor.
    pub cuda_version: (i32, i32),
    pub devices: Vec<DeviceInfo>,
}

/// # Errors
/// No driver, one that fails, no GPU.
pub fn probe() -> Result<Probe, Unusable> {
    guarded(|| {
        let devices = (0..device_count()?).map(device).collect::<Result<_, _>>().map_err(fails)?;
        let mut version = 0;
        // SAFETY: writes one number.
        unsafe { sys::cuDriverGetVersion(&mut version) }.result().map_err(fails)?;
        Ok(Probe { cuda_version: (version / 1000, version % 1000 / 10), devices })
    })
}

/// The context of GPU `ordinal`.
///
/// # Errors
/// No driver, one that fails, no such GPU.
pub(super) fn open(ordinal: usize) -> Result<std::sync::Arc<CudaContext>, DeviceError> {
    let context = guarded(|| {
        let count = device_count()? as usize;
        if ordinal >= count {
            return Err(Unusable::NoSuchDevice { ordinal, count });
        }
        CudaContext::new(ordinal).map_err(fails)
    })?;
    Ok(context)
}

/// Loads the driver, then asks it. A function that the driver lacks makes cudarc panic: that is an error here.
fn guarded<T>(ask: impl FnOnce() -> Result<T, Unusable>) -> Result<T, Unusable> {
    // SAFETY: loads a library, whose initialization is the driver's own.
    if !unsafe { sys::is_culib_present() } {
        return Err(Unusable::NoDriver);
    }
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let answer = catch_unwind(AssertUnwindSafe(ask));
    std::panic::set_hook(hook);
    answer.unwrap_or_else(|_| Err(Unusable::DriverFails("it lacks functions of CUDA 13".to_owned())))
}

fn device_count() -> Result<i32, Unusable> {
    match CudaContext::device_count() {
        Ok(0) | Err(DriverError(sys::CUresult::CUDA_ERROR_NO_DEVICE)) => Err(Unusable::NoDevice),
        Ok(count) => Ok(count),
        Err(error) => Err(fails(error)),
    }
}

fn device(ordinal: i32) -> Result<DeviceInfo, DriverError> {
    let device = result::device::get(ordinal)?;
    use sys::CUdevice_attribute as Attribute;
    // SAFETY: the driver just gave this device.
    let attribute = |attribute| unsafe { result::device::get_attribute(device, attribute) };
    let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let minor = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    // SAFETY: as above.
    let memory_bytes = unsafe { result::device::total_mem(device) }?;
    // What is free is known inside a context alone.
    let context = CudaContext::new(ordinal as usize);
    let free_bytes = context.and_then(|context| context.mem_get_info()).ok().map(|(free, _)| free);
    Ok(DeviceInfo { name: result::device::get_name(device)?, capability: (major, minor), memory_bytes, free_bytes })
}

fn fails(error: DriverError) -> Unusable {
    Unusable::DriverFails(describe(error))
}
