// Every access to memory: bounds, alignment, unwritten bytes, races.
#include "launch.h"
#include <cstdio>

extern "C" char __executable_start __attribute__((weak));
extern "C" char end __attribute__((weak));

namespace emulator {

// Constant tables of the program itself.
static bool in_program(const char* address) {
    return &__executable_start && &end && address >= &__executable_start && address < &end;
}

Region* Launch::region_of(const void* address) {
    const char* at = static_cast<const char*>(address);
    Region* shared = current->block->shared.get();
    return shared->holds(at) ? shared : memory.find(at);
}

void Launch::access(const void* address, uint32_t bytes, bool write, bool atomic, uint32_t alignment) {
    const char* at = static_cast<const char*>(address);
    if (at >= current->stack && at < current->stack + Stacks::BYTES) return;
    Region* region = region_of(at);
    if (!region) {
        if (!write && in_program(at)) return;
        fail_at(FaultKind::OutOfBounds, "outside every buffer", nullptr, at, bytes);
    }
    const size_t offset = at - region->base();
    if (offset + bytes > region->bytes) {
        char detail[sizeof Fault::detail];
        std::snprintf(detail, sizeof detail, "%s ends at byte %zu", region->name.c_str(), region->bytes);
        fail_at(FaultKind::OutOfBounds, detail, region, at, bytes);
    }
    if (alignment > 1 && reinterpret_cast<uintptr_t>(at) % alignment != 0)
        fail_at(FaultKind::Misaligned, "the size of the access does not divide its address", region, at, bytes);
    touch(*region, offset, bytes, write, atomic);
}

// True if this thread's next access happens after the earlier one.
bool Launch::visible(const Access& earlier) const {
    if (earlier.era != era) return true;
    const Thread& thread = *current;
    const Warp& warp = thread.block->warps[thread.warp()];
    const unsigned from = earlier.thread / WARP;
    if (earlier.block == thread.block->number) return earlier.thread == thread.number || earlier.time < warp.visible[from];
    const auto known = warp.foreign.find(earlier.block);
    if (known == warp.foreign.end()) return false;
    const auto released = known->second.threads.find(earlier.thread);
    return earlier.time < known->second.warps[from] || (released != known->second.threads.end() && earlier.time < released->second);
}

void Launch::touch(Region& region, size_t offset, uint32_t bytes, bool write, bool atomic) {
    const Thread& thread = *current;
    const Access now{era, thread.block->number, thread.block->time, uint16_t(thread.number), atomic};
    for (size_t byte = offset; byte < offset + bytes; byte++) {
        Content& content = region.content[byte];
        if (content == Content::Copying) {
            const char* what = write ? "a write to bytes that a cp.async is copying to" : "a read of bytes that a cp.async is still copying to";
            fail_at(FaultKind::UnwaitedCopy, what, &region, region.base() + byte, bytes);
        }
        if ((!write || atomic) && content == Content::Unwritten)
            fail_at(FaultKind::Uninitialized, "nothing has written these bytes", &region, region.base() + byte, bytes);
        Uses& uses = region.uses(byte);
        if (!visible(uses.write) && !(atomic && uses.write.atomic)) race(uses.write, write ? "write after write" : "read after write", region, byte, bytes);
        if (!write) {
            // Keeps what is not ordered before this read, as far as there is room.
            const bool same = uses.reads[0].thread == now.thread && uses.reads[0].block == now.block;
            if (!same && !visible(uses.reads[0])) uses.reads[1] = uses.reads[0];
            uses.reads[0] = now;
            continue;
        }
        for (const Access& read : uses.reads)
            if (!visible(read)) race(read, "write after read", region, byte, bytes);
        uses.write = now;
        content = Content::Written;
    }
}

void Launch::fail_at(FaultKind kind, const char* detail, const Region* region, const void* address, uint32_t bytes) {
    Fault found = fault_of(kind, detail, 0);
    found.bytes = bytes;
    found.address = reinterpret_cast<uint64_t>(address);
    if (region) {
        std::snprintf(found.buffer, sizeof found.buffer, "%s", region->name.c_str());
        found.offset = static_cast<const char*>(address) - region->base();
    }
    leave(found);
}

void Launch::race(const Access& other, const char* what, const Region& region, size_t offset, uint32_t bytes) {
    Fault found = fault_of(FaultKind::Race, what, 0);
    found.bytes = bytes;
    found.address = reinterpret_cast<uint64_t>(region.base() + offset);
    found.offset = offset;
    std::snprintf(found.buffer, sizeof found.buffer, "%s", region.name.c_str());
    const Index grid = request.grid, size = request.block;
    found.has_other = 1;
    found.other = {{other.block % grid.x, other.block / grid.x % grid.y, other.block / (grid.x * grid.y)},
                   {other.thread % size.x, other.thread / size.x % size.y, other.thread / (size.x * size.y)}};
    leave(found);
}

} // namespace emulator
