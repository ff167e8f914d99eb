// What a stage kernel reads: one `Stage` a task, written by the host. src/ops/cuda/stage.rs has the same layouts.
//
// A launch runs one kernel over many tasks (lanes and edges): grid (parts, tasks, columns). A part is a tile of pixels or a chunk of
// tiles; what a block leaves for a reduction stands at its part, and the last block of a task adds the parts in their order.
#pragma once
#include "storage.cuh"
#include <cstdint>

constexpr unsigned THREADS = 256;
constexpr unsigned WARPS = THREADS / 32;

// Rows of a normalization, each of as many floats as the value has stored channels: z = (y - MEAN) * SCALE + SHIFT,
// xhat = (y - MEAN) * RSTD; M1 and M2 are the means of dz and of dz * xhat; SLOPE = -SCALE * RSTD * M2 and OFFSET = -SCALE * M1 take dz to dy.
enum NormalizationRow : uint32_t { MEAN, SCALE, SHIFT, RSTD, M1, M2, SLOPE, OFFSET, NORMALIZATION_ROWS };

// A value that a stage reads. Values are [image][pixel][channel].
struct Source {
    const void* values;
    float* normalization; // null: read as it is stored
    void* gradient;       // null: not wanted
    float* sums;          // [part][dz, dz * xhat][channel], null unless this stage is the last to add to the gradient
    float* scale_gradient; // of an affine normalization, else null
    float* shift_gradient;
    const float* gate; // null: 1
    float* gate_sums;  // [part], null unless wanted
    uint32_t channels;
    uint32_t flags;
};
constexpr uint32_t ACCUMULATE = 1; // add to the gradient that is there
constexpr uint32_t IMAGE = 2;      // the network's input: f32, channels padded to 4

// How the pixels of a map are cut into tiles of at most TILE_PIXELS: `rows` x `columns` of one image, or `together` whole images.
constexpr unsigned TILE_PIXELS = 128;
struct Tiling {
    uint32_t images, height, width;
    uint32_t together, rows, columns;
    uint32_t tiles; // of all images
    uint32_t chunk; // tiles of a block that sums up
};

struct Window {
    uint32_t kernel, stride, dilation, padding;
    uint32_t taps; // kernel * kernel; 2 where diagonal
    // Not 0 in a factorized reduction: tap t reads pixel (t, t) with weights[t]; the first `diagonal` output channels are the first tap's.
    uint32_t diagonal;
};

struct Stage {
    const Source* sources;
    uint32_t source_count, relu;
    Tiling from, to; // of the input and of the output
    Window window;
    uint32_t in_channels, out_channels; // stored
    const float* weights[2];
    float* weight_parts[2]; // [chunk][as the weights]; null: not wanted
    void* output;
    const void* output_gradient;
    float* normalization; // of the output, null if it has none
    float* moments;       // [part][pixels, mean, M2][channel], null: the normalization is given
    double* statistics;   // [mean, biased variance][channel]
    const float* scale;   // of an affine normalization, else null
    const float* shift;
    void* scratch; // [image][pixel of the output][input channel]: what a backward in two kernels hands over, or one shows
    uint32_t* counter; // 0 between launches
    float epsilon;
    uint32_t kind; // of a pool
};
static_assert(sizeof(Source) == 72 && sizeof(Tiling) == 32 && sizeof(Window) == 24 && sizeof(Stage) == 224);

constexpr uint32_t MAXIMUM = 0; // Stage::kind; otherwise an average

// The task of this block, or null where the launch has fewer tasks than its grid.
__device__ __forceinline__ const Stage* task(const Stage* stages, const uint32_t* count) {
    return blockIdx.y < *count ? stages + blockIdx.y : nullptr;
}

// True in all threads of the block that comes last of the task's; what the others wrote before is then visible.
__device__ __forceinline__ bool is_last_block(uint32_t* counter, unsigned& shared_flag) {
    __syncthreads();
    if (threadIdx.x == 0) {
        const unsigned blocks = gridDim.x * gridDim.z;
        // The barriers take what the fences order to and from the other threads.
        __threadfence();
        shared_flag = atomicAdd(counter, 1u) == blocks - 1;
        if (shared_flag) atomicExch(counter, 0u);
        __threadfence();
    }
    __syncthreads();
    return shared_flag;
}
