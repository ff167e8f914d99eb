// What both halves of the emulator share: an index, and a kernel that can be called.
#pragma once
#include <cstdint>

namespace emulator {

struct Index {
    uint32_t x, y, z;
};

// The layout is shared with src/device/emulator/foreign.rs.
struct Kernel {
    const char* name;
    void (*call)(void* const* arguments); // one pointer an argument
    const uint32_t* argument_bytes;
    uint32_t arguments;
};

} // namespace emulator
