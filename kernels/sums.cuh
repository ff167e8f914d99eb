// Sums over threads, in one order.
#pragma once
#include "input.cuh"

__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(~0u, value, offset);
    return value;
}

__device__ __forceinline__ double warp_sum(double value) {
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(~0u, value, offset);
    return value;
}

// How the threads of a block share groups of eight channels of a tile: each has one group, of every `step`-th pixel from `begin`. Two numbers, from
// which the others follow: registers are dear.
struct ChannelThreads {
    unsigned groups, shift; // a power of two of threads, at least `groups`, have the same pixel

    // For up to 64 columns.
    __device__ __forceinline__ explicit ChannelThreads(unsigned columns) : groups(columns / 8), shift(groups > 4 ? 3 : groups > 2 ? 2 : groups - 1) {}

    __device__ __forceinline__ unsigned stride() const { return 1u << shift; }
    __device__ __forceinline__ unsigned group() const { return threadIdx.x & (stride() - 1); }
    __device__ __forceinline__ unsigned begin() const { return threadIdx.x >> shift; }
    __device__ __forceinline__ unsigned step() const { return THREADS >> shift; }
    __device__ __forceinline__ bool has_group() const { return group() < groups; }
};

// Room in shared memory for two sums of up to 64 channels from every warp.
struct alignas(16) ChannelSums {
    float of_warps[WARPS][2][64];
    alignas(16) float pivots[64];
    unsigned flag;

    // Leaves the sums of a warp's threads.
    __device__ __forceinline__ void leave(const ChannelThreads& threads, const float (&a)[8], const float (&b)[8]) {
        const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
        for (int i = 0; i < 8; i++) {
            float first = a[i], second = b[i];
            for (unsigned offset = 16; offset >= threads.stride(); offset /= 2) {
                first += __shfl_xor_sync(~0u, first, offset);
                second += __shfl_xor_sync(~0u, second, offset);
            }
            if (lane < threads.stride()) {
                of_warps[warp][0][threads.group() * 8 + i] = first;
                of_warps[warp][1][threads.group() * 8 + i] = second;
            }
        }
    }

    // The same where a thread has columns `column` and the next, those of the threads eight lanes on: of four numbers, two lanes 16 apart add
    // two each, and of these two lanes 8 apart one each.
    __device__ __forceinline__ void leave(unsigned column, const float (&a)[2], const float (&b)[2]) {
        const bool second = threadIdx.x & 16, odd = threadIdx.x & 8;
        float own[2];
#pragma unroll
        for (int i = 0; i < 2; i++) own[i] = (second ? b[i] : a[i]) + __shfl_xor_sync(~0u, second ? a[i] : b[i], 16);
        const float sum = (odd ? own[1] : own[0]) + __shfl_xor_sync(~0u, odd ? own[0] : own[1], 8);
        of_warps[threadIdx.x / 32][second][column + odd] = sum;
    }

    // use(column, a, b) with the sums of all warps, for each of `columns` columns, after a barrier. A barrier follows.
    template <class Use> __device__ __forceinline__ void each(unsigned columns, Use use) const {
        __syncthreads();
        for (unsigned column = threadIdx.x; column < columns; column += THREADS) {
            float a = 0.0f, b = 0.0f;
            for (unsigned w = 0; w < WARPS; w++) {
                a += of_warps[w][0][column];
                b += of_warps[w][1][column];
            }
            use(column, a, b);
        }
        __syncthreads();
    }
};
