// Nodes: sums of gated terms.
//
// Mathematics: out = sum over the sources in order, from 0, of gate * z, z = normalize(source), no ReLU; a source without a gate counts once.
//     Gradients, with dnode that of the sum: dz += gate * dnode for each source in order, dgate = sum over pixels and channels of
//     dnode * z. Everything between loads and stores is f32. A node without sources is zero.
// Layout: all maps [image][pixel][channel], of the same channels.
// Mapping: one block a chunk of tiles of up to 128 pixels (x), a task (y) and 16 (forward) or 64 (gradient) channels (z). 256 threads, each
//     eight channels of a pixel at a time; the gradient takes the chunk source by source. A value may be a source twice: the same thread
//     adds both.
// Shared memory: forward, a tile of sums in f32; gradient, sums of warps.
// Gate sums: [part][column], column = blockIdx.z: gridDim.x * gridDim.z numbers a source.
// Traffic: forward reads every source and writes one map; gradient reads dnode (again for every source, from a cache) and, of each source that
//     wants sums or a gate's gradient, its values, and writes (where it accumulates, also reads) its gradient.
// Determinism: sources in order; tiles and groups of channels are functions of the stage's shape alone.
#include "input_gradient.cuh"
#include "output.cuh"
#include "shared.cuh"

namespace {

constexpr unsigned COLUMNS = 64; // of the gradient

__device__ __forceinline__ float gate_of(const Source& source) { return source.gate ? *source.gate : 1.0f; }

// Adds the gated z of eight channels of a pixel. A source that a node reads twice is normalized twice.
template <class T> __device__ __forceinline__ void add_gated(float (&sum)[8], const Source& source, const Normalizer& normalizer, float gate, size_t pixel, unsigned channel) {
    float z[8];
    load8(z, static_cast<const T*>(source.values) + pixel * source.channels + channel);
    normalizer.apply(z);
#pragma unroll
    for (int i = 0; i < 8; i++) sum[i] = fmaf(gate, z[i], sum[i]);
}

template <class T> __device__ __forceinline__ void forward(const Stage* stages, const uint32_t* count) {
    if (!task(stages, count)) return;
    const Stage& stage = *task(stages, count);
    ChannelSums& shared = shared_memory<ChannelSums>();
    float* const sums = reinterpret_cast<float*>(&shared + 1);
    const unsigned first = blockIdx.z * CHANNELS, columns = min(CHANNELS, stage.out_channels - first);
    const unsigned p = threadIdx.x / 2, half = threadIdx.x % 2 * 8;
    const Tiles tiles(stage.to, stage.to.chunk);

    OutputWriter<T> writer(first, columns);
    for (Tile tile(stage.to, tiles.begin); tile.index < tiles.end; tile.advance(stage.to)) {
        __syncthreads();
        if (p < tile.count && half < columns) {
            float sum[8] = {};
            for (unsigned s = 0; s < stage.source_count; s++) {
                const Source& source = stage.sources[s];
                add_gated<T>(sum, source, Normalizer(&source, first + half), gate_of(source), tile.first + p, first + half);
            }
#pragma unroll
            for (int i = 0; i < 8; i++) sums[p * TILE<CHANNELS> + half + i] = sum[i];
        }
        writer.write(stage, tile, sums, TILE<CHANNELS>, shared);
    }
    writer.finish(stage, shared);
}

struct alignas(16) NodeSums {
    ChannelSums channels;
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
    const Tiles tiles(stage.to, stage.to.chunk);
    const Tile last(stage.to, tiles.end - 1);
    const unsigned first = blockIdx.z * COLUMNS;
    const ChannelThreads threads(min(COLUMNS, stage.out_channels - first));
    const unsigned channel = first + threads.group() * 8;
    // Tiles of a chunk follow one another in the map.
    const unsigned end = threads.has_group() ? last.first + last.count : 0, begin = Tile(stage.to, tiles.begin).first + threads.begin();
    const OutputGradient<T> gradient(stage, threads.has_group() ? channel : stage.out_channels);
    for (unsigned s = 0; s < stage.source_count; s++) {
        const Source& source = stage.sources[s];
        if (!source.gradient && !source.gate_sums) continue;
        ChannelsGradientWriter<T, 8> writer({&source, channel}, false);
        const GradientConstants<8> constants(threads.has_group() ? writer.to : SourcePlace{nullptr, 0});
        const float gate = gate_of(source);
        float gate_sum = 0.0f;
        for (unsigned pixel = begin; pixel < end; pixel += threads.step()) {
            float dnode[8];
            gradient.read(dnode, pixel);
            if (source.gate_sums) {
                float z[8];
                load8(z, static_cast<const T*>(source.values) + size_t(pixel) * source.channels + channel);
                constants.normalizer.apply(z);
#pragma unroll
                for (int i = 0; i < 8; i++) gate_sum = fmaf(dnode[i], z[i], gate_sum);
            }
            if (!source.gradient) continue;
#pragma unroll
            for (int i = 0; i < 8; i++) dnode[i] *= gate;
            writer.write(constants, pixel, dnode);
        }
        if (source.sums) {
            shared.channels.leave(threads, writer.dz_sum, writer.xhat_sum);
            write_sums(shared.channels, threads.groups * 8, [&](unsigned column) { return SourcePlace{&source, first + column}; });
        }
        if (source.gate_sums) write_gate_sum(source, gate_sum, shared.gates);
    }
    if (finishes_sums(stage) && is_last_block(stage.counter, shared.channels.flag)) finish_sums(stage);
}

} // namespace

#define ARGUMENTS const Stage *__restrict__ stages, const uint32_t *__restrict__ count
extern "C" __global__ void __launch_bounds__(256, 3) node_forward_f32(ARGUMENTS) { forward<float>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 3) node_forward_bf16(ARGUMENTS) { forward<bf16>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) node_gradient_f32(ARGUMENTS) { gradient<float>(stages, count); }
extern "C" __global__ void __launch_bounds__(256, 2) node_gradient_bf16(ARGUMENTS) { gradient<bf16>(stages, count); }
