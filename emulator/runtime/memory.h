// Buffers with a record of every byte: whether it was written, and who used it last.
#pragma once
#include "knowledge.h"
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace emulator {

enum class Content : uint8_t {
    Unwritten,
    Written,
    Copying, // a cp.async into it is under way
};

// Who used a byte last. Two readers are kept, of different threads where there were any.
struct Uses {
    Access write;
    Access reads[2];
};

struct Release {
    void operator()(char* memory) const { std::free(memory); }
};

class Region {
public:
    Region(std::string name, size_t bytes);
    // Fills with 0xff, of which every float is a NaN, and forgets all uses.
    void poison();
    bool holds(const char* address) const { return address >= base() && address < base() + reserved; }
    char* base() const { return memory.get(); }
    Uses& uses(size_t offset);

    std::string name;
    size_t bytes;
    std::vector<Content> content;

private:
    static constexpr size_t PAGE = 1024;
    size_t reserved;
    std::unique_ptr<char, Release> memory;
    std::vector<std::unique_ptr<Uses[]>> pages;
};

// The device memory of one emulator.
class Memory {
public:
    char* allocate(const char* name, size_t bytes);
    void release(char* address);
    // The region in whose memory or margin the address lies.
    Region* find(const char* address);

private:
    std::map<const char*, std::unique_ptr<Region>> regions;
    Region* last = nullptr;
};

} // namespace emulator
