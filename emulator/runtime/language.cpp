// The functions that kernels call (include/emulator.h), for the thread that runs.
#include "emulator.h"
#include "launch.h"

namespace emulator {

Index thread_index() { return launch->current->index; }
Index block_index() { return launch->current->block->index; }
Index block_size() { return launch->request.block; }
Index grid_size() { return launch->request.grid; }
unsigned lane() { return launch->current->lane(); }
unsigned char* shared_memory() { return reinterpret_cast<unsigned char*>(launch->current->block->shared->base()); }

void barrier(unsigned number, unsigned threads, unsigned line) { launch->barrier(number, threads, line); }
void grid_barrier(unsigned line) { launch->grid_barrier(line); }
void fence() { launch->fence(); }

void before_atomic(void* address, unsigned bytes) {
    launch->access(address, bytes, true, true, bytes);
    launch->synchronize(address);
}

void gather_bytes(const char* name, unsigned mask, const void* given, unsigned bytes, void* all, unsigned line) {
    launch->collective(name, mask, given, bytes, all, line);
}

unsigned source_lane(unsigned mask, unsigned source, unsigned line) {
    if (!(mask >> source & 1)) launch->fail(FaultKind::DivergentCollective, "a shuffle reads a lane that is not in its mask", line);
    return source;
}

void copy_async(void* to, const void* from, unsigned bytes, unsigned zeros) { launch->copy_async(to, from, bytes, zeros); }
void commit_copies() { launch->commit_copies(); }
void wait_copies(unsigned groups) { launch->wait_copies(groups); }
void check_read(const void* address, unsigned bytes) { launch->access(address, bytes, false, false, bytes); }

} // namespace emulator
