//! The emulator's C interface (emulator/runtime/interface.cpp) and the layouts that both sides share.

use std::ffi::{c_char, c_void};

/// `Kernel` of emulator/include/kernel.h: a kernel that was compiled for the emulator.
#[repr(C)]
pub struct EmulatedKernel {
    pub(super) name: *const c_char,
    pub(super) call: unsafe extern "C" fn(*const *mut c_void),
    pub(super) argument_bytes: *const u32,
    pub(super) arguments: u32,
}

// SAFETY: constants, as the C++ side made them.
unsafe impl Sync for EmulatedKernel {}
// SAFETY: as above.
unsafe impl Send for EmulatedKernel {}

/// `Request` of emulator/runtime/launch.h.
#[repr(C)]
pub(super) struct Request {
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub shared_bytes: u32,
    pub cooperative: u32,
    pub seed: u64,
    pub early_copies: u32,
    pub arguments: *const *mut c_void,
}

/// `FaultPlace` of emulator/runtime/fault.h.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct ForeignPlace {
    pub block: [u32; 3],
    pub thread: [u32; 3],
}

/// `Fault` of emulator/runtime/fault.h.
#[repr(C)]
pub(super) struct ForeignFault {
    pub kind: u32,
    pub at: ForeignPlace,
    pub has_other: u32,
    pub other: ForeignPlace,
    pub line: u32,
    pub bytes: u32,
    pub address: u64,
    pub buffer: [c_char; 48],
    pub offset: u64,
    pub detail: [c_char; 160],
}

// The C++ side asserts the same numbers.
const _: () =
    assert!(size_of::<Request>() == 56 && size_of::<ForeignFault>() == 288 && size_of::<EmulatedKernel>() == 32);

/// The C++ object.
#[repr(C)]
pub(super) struct Emulator {
    _private: [u8; 0],
}

unsafe extern "C" {
    pub(super) fn crosstalk_emulator_new() -> *mut Emulator;
    pub(super) fn crosstalk_emulator_delete(emulator: *mut Emulator);
    pub(super) fn crosstalk_emulator_allocate(emulator: *mut Emulator, name: *const c_char, bytes: usize) -> *mut u8;
    pub(super) fn crosstalk_emulator_release(emulator: *mut Emulator, address: *mut u8);
    pub(super) fn crosstalk_emulator_upload(emulator: *mut Emulator, to: *mut u8, from: *const u8, bytes: usize);
    pub(super) fn crosstalk_emulator_launch(
        emulator: *mut Emulator,
        kernel: *const EmulatedKernel,
        request: *const Request,
        fault: *mut ForeignFault,
    );
}

include!(concat!(env!("OUT_DIR"), "/emulated.rs"));

/// The tables of kernels that are part of this program.
pub(super) fn tables() -> Vec<&'static [EmulatedKernel]> {
    embedded().to_vec()
}
