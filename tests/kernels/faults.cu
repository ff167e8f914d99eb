// Kernels with one planted fault each, and beside each the same kernel without it.
#include "ptx.cuh"
#include "shared.cuh"

extern "C" __global__ void clean_copy(int* out, const int* in, unsigned count) {
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < count) out[i] = in[i];
}

// Forgets that the last block is not full.
extern "C" __global__ void reads_past_the_end(int* out, const int* in) {
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = in[i];
}

extern "C" __global__ void writes_past_the_end(int* out) { out[blockIdx.x * blockDim.x + threadIdx.x] = 1; }

extern "C" __global__ void reads_before_the_start(int* out, const int* in) { out[threadIdx.x] = in[int(threadIdx.x) - 1]; }

// A vector of four at an address that is none.
extern "C" __global__ void loads_a_misaligned_vector(float4* out, const float* in) {
    out[threadIdx.x] = *reinterpret_cast<const float4*>(in + 1 + 4 * threadIdx.x);
}

struct Tile {
    int values[128];
};

// Writes the thread's number, after everything was written once: what is missing then is order alone.
__device__ Tile& numbered_tile() {
    Tile& tile = shared_memory<Tile>();
    tile.values[threadIdx.x] = -1;
    __syncthreads();
    tile.values[threadIdx.x] = threadIdx.x;
    return tile;
}

extern "C" __global__ void leaves_shared_memory(int* out) {
    Tile& tile = shared_memory<Tile>();
    tile.values[threadIdx.x + 1] = threadIdx.x;
    __syncthreads();
    out[threadIdx.x] = tile.values[threadIdx.x];
}

extern "C" __global__ void reads_unwritten_shared_memory(int* out) {
    Tile& tile = shared_memory<Tile>();
    if (threadIdx.x < 100) tile.values[threadIdx.x] = 1;
    __syncthreads();
    out[threadIdx.x] = tile.values[threadIdx.x];
}

// Neighbours exchange a number; BARRIER says whether they wait for each other.
template <bool BARRIER> __device__ void exchange(int* out) {
    Tile& tile = numbered_tile();
    if (BARRIER) __syncthreads();
    out[threadIdx.x] = tile.values[(threadIdx.x + 32) % blockDim.x];
}
extern "C" __global__ void exchanges_after_a_barrier(int* out) { exchange<true>(out); }
extern "C" __global__ void exchanges_without_a_barrier(int* out) { exchange<false>(out); }

// The barrier that protects a second round of writes is missing.
template <bool BARRIER> __device__ void exchange_twice(int* out) {
    Tile& tile = shared_memory<Tile>();
    int sum = 0;
    for (int round = 0; round < 2; round++) {
        tile.values[threadIdx.x] = threadIdx.x + round;
        __syncthreads();
        sum += tile.values[(threadIdx.x + 32) % blockDim.x];
        if (BARRIER) __syncthreads();
    }
    out[threadIdx.x] = sum;
}
extern "C" __global__ void exchanges_twice_with_barriers(int* out) { exchange_twice<true>(out); }
extern "C" __global__ void overwrites_what_others_read(int* out) { exchange_twice<false>(out); }

// Two lanes of one warp.
template <bool BARRIER> __device__ void exchange_in_a_warp(int* out) {
    Tile& tile = numbered_tile();
    if (BARRIER) __syncwarp();
    out[threadIdx.x] = tile.values[threadIdx.x ^ 1];
}
extern "C" __global__ void exchanges_in_a_warp(int* out) { exchange_in_a_warp<true>(out); }
extern "C" __global__ void exchanges_in_a_warp_unsynchronized(int* out) { exchange_in_a_warp<false>(out); }

// Warps 0 and 1 exchange behind a barrier of their own; warps 2 and 3 behind another.
extern "C" __global__ void exchanges_behind_named_barriers(int* out) {
    Tile& tile = numbered_tile();
    named_barrier(1 + threadIdx.x / 64, 64);
    out[threadIdx.x] = tile.values[threadIdx.x ^ 32];
}
extern "C" __global__ void reads_beyond_its_named_barrier(int* out) {
    Tile& tile = numbered_tile();
    named_barrier(1 + threadIdx.x / 64, 64);
    out[threadIdx.x] = tile.values[threadIdx.x ^ 64];
}

// All blocks write the same number.
extern "C" __global__ void all_blocks_write_one_number(int* out) {
    if (threadIdx.x == 0) out[0] = blockIdx.x;
}

extern "C" __global__ void half_a_block_at_a_barrier(int* out) {
    if (threadIdx.x < 64) __syncthreads();
    out[threadIdx.x] = 1;
}
extern "C" __global__ void leaves_before_a_barrier(int* out) {
    if (threadIdx.x >= 100) return;
    __syncthreads();
    out[threadIdx.x] = 1;
}
extern "C" __global__ void two_barriers_at_once(int* out) {
    if (threadIdx.x < 64)
        __syncthreads();
    else
        __syncthreads();
    out[threadIdx.x] = 1;
}

extern "C" __global__ void sums_by_shuffles(int* out) {
    int sum = threadIdx.x;
    for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(~0u, sum, distance);
    out[threadIdx.x] = sum;
}
extern "C" __global__ void half_a_warp_shuffles(int* out) {
    int sum = threadIdx.x;
    if (threadIdx.x % 32 < 16) sum += __shfl_xor_sync(~0u, sum, 1);
    __syncthreads();
    out[threadIdx.x] = sum;
}
extern "C" __global__ void shuffles_with_lanes_that_left(int* out) {
    if (threadIdx.x % 32 == 31) return;
    out[threadIdx.x] = __shfl_xor_sync(~0u, int(threadIdx.x), 1);
}
extern "C" __global__ void shuffles_from_outside_the_mask(int* out) {
    out[threadIdx.x] = 0;
    if (threadIdx.x % 32 < 16) out[threadIdx.x] = __shfl_xor_sync(0xffffu, int(threadIdx.x), 16);
}
// Halves of a warp by themselves, and the first number of every eight lanes.
extern "C" __global__ void shuffles_in_parts(int* out) {
    const int of_half = threadIdx.x % 32 < 16 ? __shfl_xor_sync(0xffffu, int(threadIdx.x), 1) : __shfl_down_sync(0xffff0000u, int(threadIdx.x), 3, 8);
    const int of_eight = __shfl_sync(~0u, int(threadIdx.x), 0, 8);
    const unsigned odd = __ballot_sync(~0u, threadIdx.x % 2);
    out[threadIdx.x] = of_half * 1000 + of_eight + (odd == 0xaaaaaaaau ? 0 : 500);
}
extern "C" __global__ void two_shuffles_at_once(int* out) {
    int value = threadIdx.x;
    if (threadIdx.x % 2 == 0)
        value = __shfl_xor_sync(~0u, value, 2);
    else
        value = __shfl_xor_sync(~0u, value, 4);
    out[threadIdx.x] = value;
}

struct CopyTile {
    int4 values[64];
};
// Every thread copies 16 bytes and reads what its neighbour copied.
template <bool WAIT, bool BARRIER> __device__ void copy_through(int4* out, const int4* in) {
    CopyTile& tile = shared_memory<CopyTile>();
    copy_async_16(&tile.values[threadIdx.x], &in[threadIdx.x]);
    commit_copies();
    if (WAIT) wait_copies<0>();
    if (BARRIER) __syncthreads();
    out[threadIdx.x] = tile.values[(threadIdx.x + 32) % 64];
}
extern "C" __global__ void copies_and_waits(int4* out, const int4* in) { copy_through<true, true>(out, in); }
extern "C" __global__ void copies_without_a_wait(int4* out, const int4* in) { copy_through<false, true>(out, in); }
extern "C" __global__ void copies_without_a_barrier(int4* out, const int4* in) { copy_through<true, false>(out, in); }
extern "C" __global__ void leaves_with_copies_under_way(int4* out, const int4* in) {
    copy_async_16(&shared_memory<CopyTile>().values[threadIdx.x], &in[threadIdx.x]);
    commit_copies();
    out[threadIdx.x] = in[threadIdx.x];
}

// The last block to finish sums what all blocks wrote, in their order. FENCES says whether writes are made visible first.
struct Last {
    int is_last;
};
template <bool RELEASE, bool ACQUIRE> __device__ void sum_in_the_last_block(int* sum, int* partial, unsigned* finished) {
    Last& shared = shared_memory<Last>();
    if (threadIdx.x == 32) partial[blockIdx.x] = blockIdx.x + 1;
    __syncthreads();
    if (threadIdx.x == 0) {
        if (RELEASE) __threadfence();
        shared.is_last = atomicAdd(finished, 1u) == gridDim.x - 1;
        if (ACQUIRE) __threadfence();
    }
    __syncthreads();
    if (shared.is_last && threadIdx.x == 0) {
        int total = 0;
        for (unsigned block = 0; block < gridDim.x; block++) total += partial[block];
        *sum = total;
        *finished = 0;
    }
}
extern "C" __global__ void last_block_sums(int* sum, int* partial, unsigned* finished) {
    sum_in_the_last_block<true, true>(sum, partial, finished);
}
extern "C" __global__ void last_block_sums_without_release(int* sum, int* partial, unsigned* finished) {
    sum_in_the_last_block<false, true>(sum, partial, finished);
}
extern "C" __global__ void last_block_sums_without_acquire(int* sum, int* partial, unsigned* finished) {
    sum_in_the_last_block<true, false>(sum, partial, finished);
}

// Every block reads what the next one wrote.
template <bool BARRIER> __device__ void exchange_between_blocks(int* out, int* values) {
    values[blockIdx.x * blockDim.x + threadIdx.x] = blockIdx.x;
    if (BARRIER) grid_barrier();
    out[blockIdx.x * blockDim.x + threadIdx.x] = values[(blockIdx.x + 1) % gridDim.x * blockDim.x + threadIdx.x];
}
extern "C" __global__ void exchanges_between_blocks(int* out, int* values) { exchange_between_blocks<true>(out, values); }
extern "C" __global__ void exchanges_between_blocks_unsynchronized(int* out, int* values) {
    exchange_between_blocks<false>(out, values);
}
extern "C" __global__ void half_the_grid_at_a_barrier(int* out) {
    if (blockIdx.x % 2 == 0) grid_barrier();
    out[blockIdx.x * blockDim.x + threadIdx.x] = 1;
}
