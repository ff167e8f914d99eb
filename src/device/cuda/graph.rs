//! A sequence of commands as a CUDA graph: one call starts all of its launches.

use super::failure::failed;
use crate::device::DeviceError;
use cudarc::driver::{CudaStream, result, sys};

/// A graph that can be launched.
pub struct Graph(sys::CUgraphExec);

// SAFETY: a handle that belongs to no thread; it is used behind a mutex.
unsafe impl Send for Graph {}

impl Graph {
    /// What `record` asks of the stream, which does not run yet.
    ///
    /// # Errors
    /// Those of `record` and of the driver.
    pub fn record(stream: &CudaStream, record: impl FnOnce() -> Result<(), DeviceError>) -> Result<Self, DeviceError> {
        // SAFETY: the stream lives. No other thread uses it meanwhile: whoever records holds the lock of all graphs, and what it records
        // is launches and fills.
        unsafe {
            result::stream::begin_capture(stream.cu_stream(), sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED)
        }
        .map_err(failed("beginning to record a graph"))?;
        let recorded = record();
        // SAFETY: the capture was begun above. It must end even where recording failed.
        let graph = unsafe { result::stream::end_capture(stream.cu_stream()) };
        let graph = graph.map_err(failed("recording a graph"));
        if let Err(error) = recorded {
            // SAFETY: the graph was just made, and is not used.
            let _ = graph.map(|graph| unsafe { result::graph::destroy(graph) });
            return Err(error);
        }
        let graph = graph?;
        // SAFETY: the graph was just made, and is not needed once there is an executable one.
        unsafe {
            let made = result::graph::instantiate(graph, sys::CUgraphInstantiate_flags(0));
            let destroyed = result::graph::destroy(graph);
            let made = Self(made.map_err(failed("making a graph"))?);
            destroyed.map_err(failed("releasing a graph"))?;
            Ok(made)
        }
    }

    /// # Errors
    /// Those of the driver.
    pub fn launch(&self, stream: &CudaStream) -> Result<(), DeviceError> {
        // SAFETY: both live.
        unsafe { result::graph::launch(self.0, stream.cu_stream()) }.map_err(failed("launching a graph"))
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: made by `record`, used for the last time; the driver lets a launch that is still running end. A driver that failed before
        // fails here too, and has nothing to say that was not said.
        let _ = unsafe { result::graph::exec_destroy(self.0) };
    }
}
