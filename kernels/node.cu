// Nodes: sums of gated terms.
//
// Mathematics: out = sum over the sources in order, from 0, of gate * z, z = normalize(source), no ReLU; a source without a gate counts once.
//     Gradients, with dnode that of the sum: dz += gate * dnode for each source in order, dgate = sum over pixels and channels of
//     dnode * z. Everything between loads and stores is f32. A node without sources is zero.
// Layout: all maps [image][pixel][channel], of the same channels.
// Mapping: one block a tile of up to 128 pixels (x), a task (y) and 16 (forward) or 64 (gradient) channels (z). 256 threads, each eight
//     channels of a pixel at a time. A value may be a source twice: the same thread adds both.
// Shared memory: forward, a tile of sums in f32; gradient, sums of warps, then dnode in f32 as each thread reads it again for every source.
// Gate sums: [part][column], column = blockIdx.z: gridDim.x * gridDim.z numbers a source.
// Traffic: forward reads every source and writes one map; gradient reads dnode and, of each source that wants sums or a gate's gradient, its
//     values, and writes (where it accumulates, also reads) its gradient.
// Determinism: sources in order; tiles and groups of channels are functions of the stage's shape alone.
#include "epilogue.cuh"
#include "shared.cuh"

namespace {

constexpr unsigned COLUMNS = 64; // of the gradient

__device__ __forceinline__ float gate_of(const Source& source) { return source.gate ? *source.gate : 1.0f; }

// z of eight channels of a source.
template <class T> __device__ __forceinline__ void normalized(float (&z)[8], const Source& source, size_t pixel, unsigned channel) {
    load8(z, static_cast<const T*>(source.values) + pixel * source.channels + channel);
    Normalizer(source, channel).apply(z);
}

template <class T> __device__ __forceinline__ void forward(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    unsigned& flag = shared_memory<unsigned>();
    float* const sums = reinterpret_cast<float*>(&shared_memory<unsigned char>() + 16);
    const Tile tile(stage.to, blockIdx.x);
    const unsigned first = blockIdx.z * CHANNELS, columns = min(CHANNELS, stage.out_channels - first);
    const unsigned p = threadIdx.x / 2, half = threadIdx.x % 2 * 8;
    const Pixel at = tile.pixel(p);
    if (p < tile.pixels() && tile.holds(at) && half < columns) {
        float sum[8] = {};
        for (unsigned s = 0; s < stage.source_count; s++) {
            const Source& source = stage.sources[s];
            const float gate = gate_of(source);
            float z[8];
            normalized<T>(z, source, place(stage.to, at), first + half);
#pragma unroll
            for (int i = 0; i < 8; i++) sum[i] = fmaf(gate, z[i], sum[i]);
        }
#pragma unroll
        for (int i = 0; i < 8; i++) sums[p * TILE<CHANNELS> + half + i] = sum[i];
    }
    write_output<T>(stage, tile, sums, TILE<CHANNELS>, first, columns, flag);
}

struct alignas(16) NodeSums {
    GradientSums gradients;
    float gates[WARPS];
};

// Adds the gate's sums of all threads, which all take part.
__device__ __forceinline__ void write_gate_sum(const Source& source, float sum, float (&of_warps)[WARPS]) {
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        float total = 0.0f;
        for (unsigned w = 0; w < WARPS; w++) total += of_warps[w];
        source.gate_sums[blockIdx.x * gridDim.z + blockIdx.z] = total;
    }
    __syncthreads();
}

template <class T> __device__ __forceinline__ void gradient(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    NodeSums& shared = shared_memory<NodeSums>();
    const Tile tile(stage.to, blockIdx.x);
    const unsigned first = blockIdx.z * COLUMNS, groups = min(COLUMNS, stage.out_channels - first) / 8;
    const unsigned stride = power_of_two(groups), group = threadIdx.x % stride, channel = first + group * 8;
    // The pixels of a thread, none where its group has no channels. Its n-th dnode: halves of four channels, `own[2 n THREADS]` and THREADS on.
    const unsigned begin = group < groups ? threadIdx.x / stride : tile.pixels(), step = THREADS / stride;
    float4* const own = reinterpret_cast<float4*>(&shared + 1) + threadIdx.x;
    if (begin < tile.pixels()) {
        const OutputGradient gradient(stage, channel);
        for (unsigned p = begin, n = 0; p < tile.pixels(); p += step, n += 2 * THREADS) {
            const Pixel at = tile.pixel(p);
            if (!tile.holds(at)) continue;
            float dnode[8];
            gradient.read<T>(dnode, stage, place(stage.to, at), channel);
            own[n] = make_float4(dnode[0], dnode[1], dnode[2], dnode[3]);
            own[n + THREADS] = make_float4(dnode[4], dnode[5], dnode[6], dnode[7]);
        }
    }
    for (unsigned s = 0; s < stage.source_count; s++) {
        const Source& source = stage.sources[s];
        float dz[8] = {}, dz_xhat[8] = {}, gate_sum = 0.0f;
        if (begin < tile.pixels() && (source.gradient || source.gate_sums)) {
            GradientWriter writer(source, channel, false);
            const float gate = gate_of(source);
            for (unsigned p = begin, n = 0; p < tile.pixels(); p += step, n += 2 * THREADS) {
                const Pixel at = tile.pixel(p);
                if (!tile.holds(at)) continue;
                const size_t pixel = place(stage.to, at);
                const float4 a = own[n], b = own[n + THREADS];
                float dnode[8] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
                if (source.gate_sums) {
                    float z[8];
                    load8(z, static_cast<const T*>(source.values) + pixel * source.channels + channel);
                    writer.normalizer.apply(z);
#pragma unroll
                    for (int i = 0; i < 8; i++) gate_sum = fmaf(dnode[i], z[i], gate_sum);
                }
                if (!source.gradient) continue;
#pragma unroll
                for (int i = 0; i < 8; i++) dnode[i] *= gate;
                writer.write<T>(pixel, dnode);
            }
#pragma unroll
            for (int i = 0; i < 8; i++) dz[i] = writer.dz_sum[i], dz_xhat[i] = writer.xhat_sum[i];
        }
        if (source.sums) {
            write_gradient_sums(shared.gradients, dz, dz_xhat, groups, stride, [&](unsigned column) { return SourcePlace{&source, first + column}; });
        }
        if (source.gate_sums) write_gate_sum(source, gate_sum, shared.gates);
    }
    if (finishes_sums(stage) && is_last_block(stage.counter, shared.gradients.flag)) finish_sums(stage);
}

} // namespace

#define ARGUMENTS const Stage *__restrict__ stages, const uint32_t *__restrict__ count
extern "C" __global__ void __launch_bounds__(256, 3) node_forward_f32(ARGUMENTS) { forward<float>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 3) node_forward_bf16(ARGUMENTS) { forward<bf16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) node_gradient_f32(ARGUMENTS) { gradient<float>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) node_gradient_bf16(ARGUMENTS) { gradient<bf16>(stages, count); }
