// All inline PTX of crosstalk, one typed wrapper an instruction, with what it computes as C++ for the emulator beside it.
#pragma once
#include <cstdint>
#include <cuda_bf16.h>
#ifndef CROSSTALK_EMULATOR
#include <cooperative_groups.h>
#define LINE int = 0
#endif

// Hides from the compiler what a number is. What follows from it is then computed where it is used, instead of before a loop and kept in
// registers.
__device__ __forceinline__ void opaque([[maybe_unused]] uint32_t& number) {
#ifndef CROSSTALK_EMULATOR
    asm volatile("" : "+r"(number));
#endif
}

// cvt.rn.bf16x2: two numbers as bf16, to the nearest, ties to even, the first in the lower half.
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
#ifdef CROSSTALK_EMULATOR
    return __float2bfloat16_rn(low).bits | uint32_t(__float2bfloat16_rn(high).bits) << 16;
#else
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
#endif
}

// cvt.rn.relu.bf16x2: the same with 0 for what is negative; NaN stays.
__device__ __forceinline__ uint32_t pack_bf16_relu(float low, float high) {
#ifdef CROSSTALK_EMULATOR
    return pack_bf16(low <= 0.0f ? 0.0f : low, high <= 0.0f ? 0.0f : high);
#else
    uint32_t pair;
    asm("cvt.rn.relu.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
#endif
}

// max.NaN: the larger number, NaN if one is; 0 is larger than -0.
__device__ __forceinline__ float larger(float a, float b) {
#ifdef CROSSTALK_EMULATOR
    if (a != a || b != b) return __uint_as_float(0x7fffffffu);
    return a > b || (a == b && !std::signbit(a)) ? a : b;
#else
    float both;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(both) : "f"(a), "f"(b));
    return both;
#endif
}

// max.NaN.bf16x2: the larger of two pairs of bf16, NaN if one is.
__device__ __forceinline__ uint32_t larger_bf16(uint32_t a, uint32_t b) {
#ifdef CROSSTALK_EMULATOR
    return pack_bf16(larger(__uint_as_float(a << 16), __uint_as_float(b << 16)), larger(__uint_as_float(a & 0xffff0000u), __uint_as_float(b & 0xffff0000u)));
#else
    uint32_t both;
    asm("max.NaN.bf16x2 %0, %1, %2;" : "=r"(both) : "r"(a), "r"(b));
    return both;
#endif
}

// fma.rn.bf16x2, prmt, xor: a pair of bf16 as signed integers of 16 bits in the same order. -0 is 0, NaN is the largest.
__device__ __forceinline__ uint32_t ordered_bf16(uint32_t pair) {
#ifdef CROSSTALK_EMULATOR
    const auto ordered = [](uint32_t half) -> uint32_t {
        if ((half & 0x7fff) > 0x7f80) return 0x7fff;
        return half == 0x8000 ? 0 : half & 0x8000 ? half ^ 0x7fff : half;
    };
    return ordered(pair & 0xffff) | ordered(pair >> 16) << 16;
#else
    uint32_t plain, negative;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(plain) : "r"(pair), "r"(0x3f803f80u), "r"(0u));
    asm("prmt.b32 %0, %1, 0, 0xbb99;" : "=r"(negative) : "r"(plain));
    return plain ^ (negative & 0x7fff7fffu);
#endif
}

// mma.sync.m16n8k16, bf16 with f32 sums: d += a b, a 16x16 by rows, b 16x8 by columns. Two numbers a register, the lower column
// (of b: row) in the lower half. With g = lane / 4 and t = lane % 4, a lane holds
//   a[0], a[1]: rows g, g + 8, columns 2t, 2t + 1;  a[2], a[3]: the same rows, columns 2t + 8, 2t + 9
//   b[0], b[1]: rows 2t, 2t + 1 and 2t + 8, 2t + 9 of column g
//   d[0], d[1]: row g, columns 2t, 2t + 1;  d[2], d[3]: row g + 8
// A device adds the 16 products in an order of its own; the emulator adds them by k, each sum rounded to f32.
__device__ __forceinline__ void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], LINE) {
#ifdef CROSSTALK_EMULATOR
    struct Fragments {
        uint32_t a[4], b[2];
    };
    const auto all = emulator::gather("mma", ~0u, Fragments{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}}, line);
    const auto half = [](uint32_t two, int upper) { return __uint_as_float(upper ? two & 0xffff0000u : two << 16); };
    const int g = emulator::lane() / 4, t = emulator::lane() % 4;
    for (int number = 0; number < 4; number++) {
        const int column = 2 * t + number % 2;
        for (int k = 0; k < 16; k++) {
            const Fragments& of_a = all.lanes[g * 4 + k % 8 / 2];
            const Fragments& of_b = all.lanes[column * 4 + k % 8 / 2];
            d[number] += half(of_a.a[k / 8 * 2 + number / 2], k % 2) * half(of_b.b[k / 8], k % 2);
        }
    }
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// ldmatrix.x4: four 8x8 matrices of 16-bit numbers from shared memory. Lane l gives the address of row l % 8 of matrix l / 8: 16
// aligned bytes. Lane l receives of each matrix columns 2 (l % 4) and the next of row l / 4; transposed, of the column l / 4 these rows.
template <bool TRANSPOSED> __device__ __forceinline__ void load_matrices(uint32_t (&out)[4], const void* row, LINE) {
#ifdef CROSSTALK_EMULATOR
    emulator::check_read(row, 16);
    struct Row {
        uint16_t columns[8];
    };
    Row own;
    std::memcpy(&own, row, sizeof own);
    const auto all = emulator::gather(TRANSPOSED ? "ldmatrix.trans" : "ldmatrix", ~0u, own, line);
    const unsigned major = emulator::lane() / 4, minor = emulator::lane() % 4 * 2;
    for (unsigned matrix = 0; matrix < 4; matrix++) {
        const auto at = [&](unsigned row, unsigned column) -> uint32_t { return all.lanes[matrix * 8 + row].columns[column]; };
        const uint32_t low = TRANSPOSED ? at(minor, major) : at(major, minor);
        const uint32_t high = TRANSPOSED ? at(minor + 1, major) : at(major, minor + 1);
        out[matrix] = low | high << 16;
    }
#else
    const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(row));
    if constexpr (TRANSPOSED)
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3]) : "r"(address) : "memory");
    else
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3]) : "r"(address) : "memory");
#endif
}

// cp.async.cg: 16 bytes from global to shared memory past the first-level cache; 16 zeros where `valid` is false.
__device__ __forceinline__ void copy_async_16(void* to, const void* from, bool valid = true) {
#ifdef CROSSTALK_EMULATOR
    emulator::copy_async(to, from, valid ? 16 : 0, valid ? 0 : 16);
#else
    const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(valid ? 16 : 0) : "memory");
#endif
}

__device__ __forceinline__ void commit_copies() {
#ifdef CROSSTALK_EMULATOR
    emulator::commit_copies();
#else
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most GROUPS of this thread's groups are under way. Other threads see the data after a barrier.
template <int GROUPS> __device__ __forceinline__ void wait_copies() {
#ifdef CROSSTALK_EMULATOR
    emulator::wait_copies(GROUPS);
#else
    asm volatile("cp.async.wait_group %0;" ::"n"(GROUPS) : "memory");
#endif
}

// A barrier of some warps of the block: `threads` is a multiple of 32, `number` is 1 to 15 (0 is that of __syncthreads).
__device__ __forceinline__ void named_barrier(unsigned number, unsigned threads, LINE) {
#ifdef CROSSTALK_EMULATOR
    emulator::barrier(number, threads, line);
#else
    asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(threads) : "memory");
#endif
}

// A barrier of all blocks of a cooperative launch.
__device__ __forceinline__ void grid_barrier(LINE) {
#ifdef CROSSTALK_EMULATOR
    emulator::grid_barrier(line);
#else
    cooperative_groups::this_grid().sync();
#endif
}
