// What the CUDA language of cuda_language.h and the CPU versions in kernels/ptx.cuh ask of the emulator.
#pragma once
#include "kernel.h"
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

namespace emulator {

Index thread_index();
Index block_index();
Index block_size();
Index grid_size();
unsigned lane();
unsigned char* shared_memory();

// A barrier of `threads` threads of the block, 0 = all.
void barrier(unsigned number, unsigned threads, unsigned line);
void grid_barrier(unsigned line);
void fence();
// Before an atomic operation on `bytes` bytes at `address`.
void before_atomic(void* address, unsigned bytes);
void gather_bytes(const char* name, unsigned mask, const void* given, unsigned bytes, void* all, unsigned line);

// Which lane a shuffle reads, if it is one of the mask.
unsigned source_lane(unsigned mask, unsigned source, unsigned line);

// cp.async: copies `bytes` bytes and writes `zeros` zeros after them.
void copy_async(void* to, const void* from, unsigned bytes, unsigned zeros);
void commit_copies();
void wait_copies(unsigned groups);
// Checks a read of `bytes` aligned bytes as one access.
void check_read(const void* address, unsigned bytes);

// What every lane of the mask gives, by lane. All lanes of the mask must call it at the same place.
template <class T> struct Gathered {
    T lanes[32];
};
template <class T> Gathered<T> gather(const char* name, unsigned mask, const T& given, unsigned line) {
    Gathered<T> all;
    gather_bytes(name, mask, &given, sizeof(T), all.lanes, line);
    return all;
}

// Calls a kernel with arguments as cuLaunchKernel takes them: a pointer to each. They lie in the host's memory, unchecked.
template <class... A, size_t... I>
__attribute__((no_sanitize("thread"))) void call(void (*kernel)(A...), void* const* arguments, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_const_t<A>*>(arguments[I])...);
}
template <auto kernel> struct Trampoline;
template <class... A, void (*kernel)(A...)> struct Trampoline<kernel> {
    __attribute__((no_sanitize("thread"))) static void run(void* const* arguments) { call(kernel, arguments, std::index_sequence_for<A...>{}); }
    static constexpr uint32_t COUNT = sizeof...(A);
    static constexpr uint32_t BYTES[COUNT + 1] = {sizeof(A)..., 0};
};

template <auto kernel> constexpr Kernel entry(const char* name) {
    using T = Trampoline<kernel>;
    return {name, T::run, T::BYTES, T::COUNT};
}

} // namespace emulator
