// What Rust calls: src/device/emulator/foreign.rs. No exception leaves these functions.
#include "launch.h"
#include <cstring>
#include <new>

using namespace emulator;

// src/device/emulator/foreign.rs asserts the same numbers.
static_assert(sizeof(Request) == 56 && sizeof(Fault) == 288 && sizeof(Kernel) == 32);

struct Emulator {
    Memory memory;
    Stacks stacks;
    uint32_t era = 0;
};

extern "C" {
Emulator* crosstalk_emulator_new() { return new (std::nothrow) Emulator; }
void crosstalk_emulator_delete(Emulator* emulator) { delete emulator; }

// Null if there is no memory.
char* crosstalk_emulator_allocate(Emulator* emulator, const char* name, size_t bytes) {
    try {
        return emulator->memory.allocate(name, bytes);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

void crosstalk_emulator_release(Emulator* emulator, char* address) { emulator->memory.release(address); }

// The caller has checked that the bytes lie in one buffer.
void crosstalk_emulator_upload(Emulator* emulator, char* to, const void* from, size_t bytes) {
    Region* region = emulator->memory.find(to);
    std::fill_n(region->content.begin() + (to - region->base()), bytes, Content::Written);
    std::memcpy(to, from, bytes);
}

void crosstalk_emulator_launch(Emulator* emulator, const Kernel* kernel, const Request* request, Fault* fault) {
    try {
        *fault = Launch(emulator->memory, emulator->stacks, *kernel, *request, emulator->era).run();
    } catch (const std::bad_alloc&) {
        emulator::launch = nullptr;
        *fault = {};
        fault->kind = FaultKind::BadLaunch;
        std::strncpy(fault->detail, "there is no memory for the emulator's records", sizeof fault->detail - 1);
    }
}
}
