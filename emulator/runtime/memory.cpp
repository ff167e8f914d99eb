#include "memory.h"
#include <cstring>
#include <new>

namespace emulator {

// Margin after every region, so that running over its end finds no other buffer.
static constexpr size_t MARGIN = 4096;
static constexpr size_t ALIGNMENT = 256; // as cuMemAlloc

Region::Region(std::string name, size_t bytes)
    : name(std::move(name)), bytes(bytes), reserved((bytes + MARGIN + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT),
      memory(static_cast<char*>(std::aligned_alloc(ALIGNMENT, reserved))) {
    if (!memory) throw std::bad_alloc();
    poison();
}

void Region::poison() {
    std::memset(memory.get(), 0xff, bytes);
    content.assign(bytes, Content::Unwritten);
    pages.clear();
    pages.resize(bytes / PAGE + 1);
}

Uses& Region::uses(size_t offset) {
    auto& page = pages[offset / PAGE];
    if (!page) page = std::make_unique<Uses[]>(PAGE);
    return page[offset % PAGE];
}

char* Memory::allocate(const char* name, size_t bytes) {
    auto region = std::make_unique<Region>(name, bytes);
    char* address = region->base();
    regions.emplace(address, std::move(region));
    return address;
}

void Memory::release(char* address) {
    last = nullptr;
    regions.erase(address);
}

Region* Memory::find(const char* address) {
    if (last && last->holds(address)) return last;
    auto next = regions.upper_bound(address);
    if (next == regions.begin()) return nullptr;
    Region* region = std::prev(next)->second.get();
    return region->holds(address) ? last = region : nullptr;
}

} // namespace emulator
