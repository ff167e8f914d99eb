// Which accesses happened before which: vector clocks of warps inside a block, and what a block knows of others.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <unordered_map>

namespace emulator {

constexpr unsigned WARP = 32;
constexpr unsigned MAX_WARPS = 32;

// For every warp of one block: accesses at an earlier time of that block are visible.
using WarpClock = std::array<uint32_t, MAX_WARPS>;

inline void join(WarpClock& into, const WarpClock& from) {
    for (unsigned warp = 0; warp < MAX_WARPS; warp++) into[warp] = std::max(into[warp], from[warp]);
}

// What a fence made visible of one block: clocks of its warps as the fencing thread knew them, and of fencing threads their own.
struct Snapshot {
    WarpClock warps{};
    std::unordered_map<uint32_t, uint32_t> threads;

    void add(const Snapshot& other) {
        join(warps, other.warps);
        for (auto [thread, time] : other.threads) threads[thread] = std::max(threads[thread], time);
    }
};

// By block.
using Knowledge = std::unordered_map<uint32_t, Snapshot>;

inline void join(Knowledge& into, const Knowledge& from) {
    if (&into == &from) return;
    for (const auto& [block, snapshot] : from) into[block].add(snapshot);
}

// One access to a byte. Eras end with launches and grid barriers: accesses of an earlier era are visible to all.
struct Access {
    uint32_t era = 0;
    uint32_t block = 0;
    uint32_t time = 0;
    uint16_t thread = 0;
    bool atomic = false;
};

} // namespace emulator
