// Blocks, fibers and the scheduler; barriers, collectives and fences. Memory accesses: access.cpp. cp.async: copies.cpp.
#include "launch.h"
#include <cstdio>

namespace emulator {

thread_local Launch* launch = nullptr;

static constexpr uint32_t MAX_THREADS = 1024;
static constexpr uint32_t MAX_SHARED_BYTES = 227 << 10; // of one block on sm_90
static constexpr uint64_t MAX_COOPERATIVE_BLOCKS = 16;

Launch::Launch(Memory& memory, Stacks& stacks, const Kernel& kernel, const Request& request, uint32_t& era)
    : request(request), memory(memory), stacks(stacks), kernel(kernel), era(era), random(request.seed) {}

void thread_entry() {
    launch->kernel.call(launch->request.arguments);
    launch->finish();
    __builtin_unreachable();
}

void Launch::begin(Block& block, Index index, size_t first_stack) {
    const Index size = request.block;
    const uint32_t count = size.x * size.y * size.z;
    block.index = index;
    block.number = index.x + request.grid.x * (index.y + request.grid.y * index.z);
    block.alive = count;
    block.shared = std::make_unique<Region>("shared memory", request.shared_bytes);
    block.warps = std::vector<Warp>((count + WARP - 1) / WARP);
    block.threads = std::vector<Thread>(count);
    for (uint32_t number = 0; number < count; number++) {
        Thread& thread = block.threads[number];
        thread.block = &block;
        thread.number = number;
        thread.index = {number % size.x, number / size.x % size.y, number / (size.x * size.y)};
        thread.stack = stacks.bottom(first_stack + number);
        thread.fiber.prepare(stacks.bottom(first_stack + number), thread_entry);
        block.warps[thread.warp()].alive |= 1u << thread.lane();
        wake(thread);
    }
}

Fault Launch::run() {
    const Index grid = request.grid, size = request.block;
    const uint64_t blocks = uint64_t(grid.x) * grid.y * grid.z, threads = uint64_t(size.x) * size.y * size.z;
    const char* problem = nullptr;
    if (blocks == 0 || threads == 0) problem = "the grid or the block is empty";
    if (threads > MAX_THREADS) problem = "a block has more than 1024 threads";
    if (blocks >= 1u << 31 || grid.y > 65535 || grid.z > 65535) problem = "the grid is larger than a device allows";
    if (request.shared_bytes > MAX_SHARED_BYTES) problem = "a block has more than 227 KiB of shared memory";
    if (request.cooperative && blocks > MAX_COOPERATIVE_BLOCKS) problem = "the emulator runs at most 16 blocks at a time in a cooperative launch";
    const size_t together = request.cooperative ? blocks : 1;
    if (!problem && !stacks.reserve(threads * together)) problem = "there is no memory for the threads' stacks";
    if (problem) return fault_of(FaultKind::BadLaunch, problem, 0);

    std::vector<uint32_t> order(blocks);
    for (uint32_t number = 0; number < blocks; number++) order[number] = number;
    if (request.seed) std::shuffle(order.begin(), order.end(), random);
    era++;
    launch = this;
    for (size_t first = 0; first < blocks && fault.kind == FaultKind::None; first += together) {
        std::vector<Block> group(together);
        for (size_t i = 0; i < together; i++) {
            const uint32_t number = order[first + i];
            begin(group[i], {number % grid.x, number / grid.x % grid.y, number / (grid.x * grid.y)}, i * threads);
        }
        run_blocks(group);
    }
    launch = nullptr;
    return fault;
}

void Launch::run_blocks(std::vector<Block>& blocks) {
    running = &blocks;
    current = ready.front();
    ready.pop_front();
    Fiber::change(main, current->fiber);
    current = nullptr;
    ready.clear();
    at_grid_barrier.clear();
}

void Launch::wake(Thread& thread) {
    thread.state = Thread::State::Ready;
    ready.push_back(&thread);
}

// Gives the processor to a thread that can run: the one that waited longest, or with a seed any.
void Launch::pass() {
    if (ready.empty()) deadlock();
    if (request.seed) std::swap(ready.front(), ready[random() % ready.size()]);
    Thread* from = current;
    current = ready.front();
    ready.pop_front();
    if (current != from) Fiber::change(from->fiber, current->fiber);
}

void Launch::finish() {
    require_finished_copies();
    Thread& thread = *current;
    thread.state = Thread::State::Done;
    thread.block->alive--;
    thread.block->warps[thread.warp()].alive &= ~(1u << thread.lane());
    const bool all = std::all_of(running->begin(), running->end(), [](const Block& block) { return block.alive == 0; });
    if (all) Fiber::change(thread.fiber, main);
    pass();
    __builtin_unreachable();
}

void Launch::leave(const Fault& found) {
    fault = found;
    Fiber abandoned;
    Fiber::change(abandoned, main);
    __builtin_unreachable();
}

static void place(FaultPlace& at, const Index& block, const Index& thread) {
    at = {{block.x, block.y, block.z}, {thread.x, thread.y, thread.z}};
}

Fault Launch::fault_of(FaultKind kind, const char* detail, uint32_t line) const {
    Fault found{};
    found.kind = kind;
    found.line = line;
    if (current) place(found.at, current->block->index, current->index);
    std::snprintf(found.detail, sizeof found.detail, "%s", detail);
    return found;
}

void Launch::fail(FaultKind kind, const char* detail, uint32_t line) { leave(fault_of(kind, detail, line)); }

// No thread can run. Blames a barrier if any thread waits at one.
void Launch::deadlock() {
    const Thread* blamed = nullptr;
    uint32_t done = 0, elsewhere = 0;
    for (const Block& block : *running)
        for (const Thread& thread : block.threads) {
            done += thread.state == Thread::State::Done;
            const bool barrier = thread.state == Thread::State::AtBarrier || thread.state == Thread::State::AtGridBarrier;
            if (thread.state != Thread::State::Done && (!blamed || (barrier && blamed->state == Thread::State::AtCollective))) blamed = &thread;
        }
    for (const Block& block : *running)
        for (const Thread& thread : block.threads)
            elsewhere += thread.state != Thread::State::Done && (thread.state != blamed->state || thread.waits_at_line != blamed->waits_at_line);
    const bool collective = blamed->state == Thread::State::AtCollective;
    char detail[sizeof Fault::detail];
    std::snprintf(detail, sizeof detail, "waits for threads that never come: %u have left, %u wait elsewhere", done, elsewhere);
    Fault found = fault_of(collective ? FaultKind::DivergentCollective : FaultKind::DivergentBarrier, detail, blamed->waits_at_line);
    place(found.at, blamed->block->index, blamed->index);
    leave(found);
}

// Everything that the threads of a barrier did before it becomes visible to all of them.
void Launch::meet(Block& block, const Barrier& barrier) {
    block.time++;
    uint32_t participants = 0;
    for (const Thread* arrived : barrier.arrived) participants |= 1u << arrived->warp();
    WarpClock visible{};
    Knowledge foreign;
    for (unsigned warp = 0; warp < block.warps.size(); warp++)
        if (participants >> warp & 1) {
            join(visible, block.warps[warp].visible);
            join(foreign, block.warps[warp].foreign);
        }
    for (unsigned warp = 0; warp < block.warps.size(); warp++)
        if (participants >> warp & 1) visible[warp] = block.time;
    for (unsigned warp = 0; warp < block.warps.size(); warp++)
        if (participants >> warp & 1) {
            block.warps[warp].visible = visible;
            block.warps[warp].foreign = foreign;
        }
}

void Launch::barrier(unsigned number, uint32_t threads, uint32_t line) {
    Thread& thread = *current;
    Block& block = *thread.block;
    if (number >= Block::BARRIERS) fail(FaultKind::DivergentBarrier, "the barrier's number is not below 16", line);
    Barrier& barrier = block.barriers[number];
    const uint32_t expected = threads ? threads : block.threads.size();
    if (threads % WARP != 0 || expected > block.threads.size())
        fail(FaultKind::DivergentBarrier, "the barrier counts threads that are no whole warps of the block", line);
    if (barrier.arrived.empty()) {
        barrier.line = line;
        barrier.expected = expected;
    } else if (barrier.line != line || barrier.expected != expected) {
        Fault found = fault_of(FaultKind::DivergentBarrier, "another thread waits at a different barrier", line);
        found.has_other = 1;
        place(found.other, block.index, barrier.arrived[0]->index);
        leave(found);
    }
    barrier.arrived.push_back(&thread);
    thread.state = Thread::State::AtBarrier;
    thread.waits_at_line = line;
    if (barrier.arrived.size() < expected) return pass();

    meet(block, barrier);
    for (Thread* arrived : barrier.arrived) wake(*arrived);
    barrier.arrived.clear();
    pass();
}

void Launch::grid_barrier(uint32_t line) {
    if (!request.cooperative) fail(FaultKind::BadLaunch, "a grid barrier in a launch that is not cooperative", line);
    current->state = Thread::State::AtGridBarrier;
    current->waits_at_line = line;
    at_grid_barrier.push_back(current);
    if (at_grid_barrier.size() < running->size() * running->front().threads.size()) return pass();
    era++;
    for (Thread* thread : at_grid_barrier) wake(*thread);
    at_grid_barrier.clear();
    pass();
}

void Launch::collective(const char* name, uint32_t mask, const void* given, uint32_t bytes, void* taken, uint32_t line) {
    Thread& thread = *current;
    Warp& warp = thread.block->warps[thread.warp()];
    Thread* lanes = &thread.block->threads[thread.warp() * WARP];
    char detail[sizeof Fault::detail];
    if (!(mask >> thread.lane() & 1)) fail(FaultKind::DivergentCollective, "the calling lane is not in the mask", line);
    if (mask & ~warp.alive) {
        std::snprintf(detail, sizeof detail, "%s: the mask %08x names lanes that have left or never were (there are %08x)", name, mask, warp.alive);
        fail(FaultKind::DivergentCollective, detail, line);
    }
    // Lanes may wait under overlapping masks: parts of a warp, and those who are through with their part.
    auto& all = warp.collectives;
    auto pending = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.mask == mask; });
    if (pending == all.end()) pending = all.insert(all.end(), {mask, 0, bytes, line, name});
    if (pending->line != line || pending->name != name || pending->bytes != bytes) {
        const unsigned other = __builtin_ctz(pending->arrived);
        std::snprintf(detail, sizeof detail, "%s: another lane of the mask waits in %s at line %u", name, pending->name, pending->line);
        Fault found = fault_of(FaultKind::DivergentCollective, detail, line);
        found.has_other = 1;
        place(found.other, thread.block->index, lanes[other].index);
        leave(found);
    }
    pending->arrived |= 1u << thread.lane();
    thread.given = given;
    thread.taken = taken;
    thread.waits_at_line = line;
    thread.state = Thread::State::AtCollective;
    if (pending->arrived != mask) return pass();
    all.erase(pending);

    if (mask == warp.alive) warp.visible[thread.warp()] = ++thread.block->time;
    for (uint32_t to = mask; to; to &= to - 1) {
        char* taken = static_cast<char*>(lanes[__builtin_ctz(to)].taken);
        for (uint32_t from = bytes ? mask : 0; from; from &= from - 1) {
            const unsigned lane = __builtin_ctz(from);
            __builtin_memcpy(taken + lane * bytes, lanes[lane].given, bytes);
        }
    }
    for (uint32_t woken = mask; woken; woken &= woken - 1) wake(lanes[__builtin_ctz(woken)]);
    pass();
}

// Releases what is visible to this thread now, and acquires what it observed by atomics before.
void Launch::fence() {
    Thread& thread = *current;
    Block& block = *thread.block;
    Warp& warp = block.warps[thread.warp()];
    for (Location* location : thread.observed) join(warp.foreign, location->released);
    thread.observed.clear();
    block.time++;
    auto released = std::make_shared<Knowledge>(warp.foreign);
    Snapshot& own = (*released)[block.number];
    join(own.warps, warp.visible);
    own.threads[thread.number] = block.time;
    thread.released = std::move(released);
}

void Launch::synchronize(const void* address) {
    Location& location = locations[address];
    if (current->released) join(location.released, *current->released);
    current->observed.push_back(&location);
}

} // namespace emulator
