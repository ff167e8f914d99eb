// cp.async: copies that land when they must, or at once, and are unusable until they are waited for in both cases.
#include "launch.h"
#include <cstring>

namespace emulator {

void Launch::mark(char* address, uint32_t bytes, Content content) {
    Region* region = region_of(address);
    const size_t offset = address - region->base();
    std::fill_n(region->content.begin() + offset, bytes, content);
}

void Launch::copy_async(void* to, const void* from, uint32_t bytes, uint32_t zeros) {
    const Copy copy{static_cast<char*>(to), static_cast<const char*>(from), bytes, zeros};
    const uint32_t size = bytes + zeros;
    if (bytes) access(from, bytes, false, false, size);
    access(to, size, true, false, size);
    if (region_of(to) != current->block->shared.get())
        fail_at(FaultKind::OutOfBounds, "cp.async copies to shared memory only", nullptr, to, size);
    mark(copy.to, size, Content::Copying);
    if (request.early_copies) {
        std::memcpy(copy.to, copy.from, bytes);
        std::memset(copy.to + bytes, 0, zeros);
    }
    current->copies.push_back(copy);
    current->uncommitted++;
}

void Launch::commit_copies() {
    current->groups.push_back(current->uncommitted);
    current->uncommitted = 0;
}

// Both ends are used until now: a write to the source in between is a race.
void Launch::land(const Copy& copy) {
    const uint32_t size = copy.bytes + copy.zeros;
    mark(copy.to, size, Content::Written);
    if (copy.bytes) access(copy.from, copy.bytes, false, false, 1);
    access(copy.to, size, true, false, 1);
    if (!request.early_copies) {
        std::memcpy(copy.to, copy.from, copy.bytes);
        std::memset(copy.to + copy.bytes, 0, copy.zeros);
    }
}

void Launch::wait_copies(uint32_t groups) {
    Thread& thread = *current;
    for (; thread.groups.size() > groups; thread.groups.pop_front())
        for (size_t count = thread.groups.front(); count; count--) {
            land(thread.copies.front());
            thread.copies.pop_front();
        }
}

void Launch::require_finished_copies() {
    if (!current->copies.empty()) fail(FaultKind::UnwaitedCopy, "the thread leaves while its cp.async copies are under way");
}

} // namespace emulator
