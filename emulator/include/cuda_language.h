// The part of CUDA C++ that crosstalk's kernels use, as C++20. It stands before a kernel's source when the emulator compiles it.
// What is not here (floating-point atomics, `__shared__` variables, unsynchronized shuffles) is not used by design: docs/cuda.md.
#pragma once
#define CROSSTALK_EMULATOR 1
#include "emulator.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __align__(bytes) alignas(bytes)
#define threadIdx (emulator::thread_index())
#define blockIdx (emulator::block_index())
#define blockDim (emulator::block_size())
#define gridDim (emulator::grid_size())
#define LINE unsigned line = __builtin_LINE()

using std::max;
using std::isfinite;
using std::min;

struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

// Barriers and fences.
inline void __syncthreads(LINE) { emulator::barrier(0, 0, line); }
inline void __syncwarp(unsigned mask = ~0u, LINE) { emulator::gather_bytes("__syncwarp", mask, nullptr, 0, nullptr, line); }
inline void __threadfence() { emulator::fence(); }

// Warp collectives. Lanes outside `width` read themselves, as on a device.
template <class T> T shuffle(const char* name, unsigned mask, T value, unsigned source, unsigned line) {
    return emulator::gather(name, mask, value, line).lanes[emulator::source_lane(mask, source, line)];
}
template <class T> T __shfl_sync(unsigned mask, T value, int source, int width = 32, LINE) {
    const unsigned first = emulator::lane() & ~(width - 1u);
    return shuffle("__shfl_sync", mask, value, first | (source & (width - 1)), line);
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, LINE) {
    const unsigned lane = emulator::lane(), source = lane ^ bits, last = lane | (width - 1u);
    return shuffle("__shfl_xor_sync", mask, value, source > last ? lane : source, line);
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32, LINE) {
    const unsigned lane = emulator::lane(), source = lane + distance, last = lane | (width - 1u);
    return shuffle("__shfl_down_sync", mask, value, source > last ? lane : source, line);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, LINE) {
    const auto all = emulator::gather("__ballot_sync", mask, predicate, line);
    unsigned bits = 0;
    for (unsigned lane = 0; lane < 32; lane++) bits |= (mask >> lane & 1 && all.lanes[lane] != 0 ? 1u : 0u) << lane;
    return bits;
}
inline int __any_sync(unsigned mask, int predicate, LINE) { return __ballot_sync(mask, predicate, line) != 0; }
inline int __all_sync(unsigned mask, int predicate, LINE) { return __ballot_sync(mask, predicate, line) == mask; }

// Atomics, on integers only: sums of floats would depend on the order of blocks.
template <class T> concept AtomicInteger = std::is_same_v<T, int> || std::is_same_v<T, unsigned>;
#define ATOMIC __attribute__((no_sanitize("thread")))
template <AtomicInteger T> ATOMIC T atomicExch(T* address, std::type_identity_t<T> value) {
    emulator::before_atomic(address, sizeof(T));
    return std::exchange(*address, value);
}
template <AtomicInteger T> ATOMIC T atomicAdd(T* address, std::type_identity_t<T> value) {
    emulator::before_atomic(address, sizeof(T));
    const T before = *address;
    *address = before + value;
    return before;
}
template <AtomicInteger T> ATOMIC T atomicMax(T* address, std::type_identity_t<T> value) {
    emulator::before_atomic(address, sizeof(T));
    const T before = *address;
    *address = std::max(before, value);
    return before;
}
template <AtomicInteger T> ATOMIC T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
    emulator::before_atomic(address, sizeof(T));
    const T before = *address;
    if (before == expected) *address = value;
    return before;
}

// Arithmetic with one rounding each, never contracted (the emulator is compiled with -ffp-contract=off).
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return std::sqrt(a); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float rsqrtf(float a) { return 1.0f / std::sqrt(a); }
inline int __popc(unsigned bits) { return std::popcount(bits); }
inline int __clz(int bits) { return std::countl_zero(static_cast<unsigned>(bits)); }
inline float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
inline unsigned __float_as_uint(float value) { return std::bit_cast<unsigned>(value); }
template <class T> T __ldg(const T* address) { return *address; }
