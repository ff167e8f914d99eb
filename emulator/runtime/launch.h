// One running launch: its blocks, threads and scheduler.
#pragma once
#include "fault.h"
#include "fiber.h"
#include "kernel.h"
#include "memory.h"
#include <deque>
#include <random>

namespace emulator {

// What Rust asks for. The layout is shared with src/device/emulator/foreign.rs.
struct Request {
    Index grid;
    Index block;
    uint32_t shared_bytes;
    uint32_t cooperative;
    uint64_t seed;         // 0 = in order
    uint32_t early_copies; // 1 = cp.async lands at once, 0 = as late as allowed
    void* const* arguments;
};

struct Block;

// A memory location on which atomics synchronize blocks.
struct Location {
    Knowledge released;
};

struct Copy {
    char* to;
    const char* from;
    uint32_t bytes;      // read
    uint32_t zeros;      // written after them
};

struct Thread {
    enum class State { Ready, AtBarrier, AtCollective, AtGridBarrier, Done };

    Fiber fiber;
    const char* stack;
    Block* block;
    Index index;
    uint32_t number; // in the block
    State state;
    uint32_t waits_at_line;
    // A collective: this lane's contribution and where it wants those of all.
    const void* given;
    void* taken;
    // Since the last fence: what it made visible to others, and locations whose releases the next fence acquires.
    std::shared_ptr<const Knowledge> released;
    std::vector<Location*> observed;
    // cp.async: copies under way, and how many of them end each committed group.
    std::deque<Copy> copies;
    std::deque<size_t> groups;
    size_t uncommitted = 0;

    unsigned warp() const { return number / WARP; }
    unsigned lane() const { return number % WARP; }
};

struct Warp {
    WarpClock visible{};  // of this block's warps
    Knowledge foreign;    // of other blocks
    uint32_t alive = 0;
    struct Collective {
        uint32_t mask, arrived, bytes, line;
        const char* name;
    };
    std::vector<Collective> collectives; // that some lanes wait in
};

struct Barrier {
    std::vector<Thread*> arrived;
    uint32_t line = 0;
    uint32_t expected = 0;
};

struct Block {
    static constexpr unsigned BARRIERS = 16;
    Index index;
    uint32_t number; // in the grid
    uint32_t time = 1;
    uint32_t alive;
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    Barrier barriers[BARRIERS];
    std::unique_ptr<Region> shared;
};

class Launch {
public:
    Launch(Memory& memory, Stacks& stacks, const Kernel& kernel, const Request& request, uint32_t& era);
    // Runs every block. The fault is of kind None if there was none.
    Fault run();

    // Called by threads, on their fibers.
    void access(const void* address, uint32_t bytes, bool write, bool atomic, uint32_t alignment);
    void barrier(unsigned number, uint32_t threads, uint32_t line);
    void grid_barrier(uint32_t line);
    void collective(const char* name, uint32_t mask, const void* given, uint32_t bytes, void* taken, uint32_t line);
    void fence();
    // An atomic on `address` in device memory: publishes what the last fence released, and observes what others did.
    void synchronize(const void* address);
    void copy_async(void* to, const void* from, uint32_t bytes, uint32_t zeros);
    void commit_copies();
    void wait_copies(uint32_t groups);
    void require_finished_copies();
    [[noreturn]] void fail(FaultKind kind, const char* detail, uint32_t line = 0);

    const Request& request;
    Thread* current = nullptr;

private:
    friend void thread_entry();
    void begin(Block& block, Index index, size_t first_stack);
    void run_blocks(std::vector<Block>& blocks);
    void meet(Block& block, const Barrier& barrier);
    void pass();
    void finish();
    void wake(Thread& thread);
    [[noreturn]] void deadlock();
    [[noreturn]] void leave(const Fault& fault);
    Fault fault_of(FaultKind kind, const char* detail, uint32_t line) const;
    bool visible(const Access& earlier) const;
    void touch(Region& region, size_t offset, uint32_t bytes, bool write, bool atomic);
    [[noreturn]] void race(const Access& other, const char* what, const Region& region, size_t offset, uint32_t bytes);
    [[noreturn]] void fail_at(FaultKind kind, const char* detail, const Region* region, const void* address, uint32_t bytes);
    void land(const Copy& copy);
    void mark(char* address, uint32_t bytes, Content content);
    Region* region_of(const void* address);

    Memory& memory;
    Stacks& stacks;
    const Kernel& kernel;
    uint32_t& era;
    std::mt19937_64 random;
    std::vector<Block>* running = nullptr;
    std::deque<Thread*> ready;
    std::vector<Thread*> at_grid_barrier;
    std::unordered_map<const void*, Location> locations;
    Fiber main;
    Fault fault{};
};

// The launch of this operating-system thread.
extern thread_local Launch* launch;

} // namespace emulator
