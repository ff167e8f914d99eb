// What the emulator reports. The layout is shared with src/device/emulator/foreign.rs.
#pragma once
#include <cstdint>

namespace emulator {

// The numbers are those of `FaultKind` in src/device/fault.rs.
enum class FaultKind : uint32_t {
    None = 0,
    OutOfBounds,         // beyond the end of a buffer, or outside every buffer
    Misaligned,          // an access of n bytes at an address that n does not divide
    Uninitialized,       // a read of bytes that nothing has written
    Race,                // two accesses, one of them a write, that nothing orders
    DivergentBarrier,    // a barrier that not every thread reaches, or at different places
    DivergentCollective, // lanes of one warp at different collectives, or a lane that has left
    UnwaitedCopy,        // cp.async: a read before the wait, or no wait at all
    BadLaunch,           // a launch that no device could run
};

struct FaultPlace {
    uint32_t block[3];
    uint32_t thread[3];
};

struct Fault {
    FaultKind kind;
    FaultPlace at;
    uint32_t has_other;      // 1 if `other` is the second thread of a race or collective
    FaultPlace other;
    uint32_t line;           // source line of a barrier or collective; 0 where there is none
    uint32_t bytes;          // of the access; 0 where there is none
    uint64_t address;
    char buffer[48];         // name of the buffer, "shared memory", or empty
    uint64_t offset;         // of the access in the buffer
    char detail[160];
};

} // namespace emulator
