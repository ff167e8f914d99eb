//! Errors of the driver.

use crate::device::DeviceError;
use cudarc::driver::DriverError;

/// The driver's code, without asking it for more: the answer may be what fails.
pub fn describe(error: DriverError) -> String {
    format!("error {}", error.0 as u32)
}

/// Turns the driver's error into ours.
pub fn failed(doing: &str) -> impl FnOnce(DriverError) -> DeviceError {
    let doing = doing.to_owned();
    move |error| DeviceError::Driver { doing, error: describe(error) }
}
