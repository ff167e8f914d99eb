//! Bytes on their way from a device.

use super::DeviceError;

/// A download that was asked for.
pub trait Fetch: Send {
    /// The bytes, when they are there.
    ///
    /// # Errors
    /// A launch before that failed, or an error of the driver.
    fn wait(self: Box<Self>) -> Result<Vec<u8>, DeviceError>;
}

/// What is there already.
pub struct Fetched(pub Vec<u8>);

impl Fetch for Fetched {
    fn wait(self: Box<Self>) -> Result<Vec<u8>, DeviceError> {
        Ok(self.0)
    }
}
