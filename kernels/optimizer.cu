// The update of whole banks of parameters: stochastic gradient descent with momentum (docs/numerics.md, "Optimizer"), and what it needs to know.
//
// Mathematics, per element, every operation rounded on its own as on the CPU:
//     g = factor * gradient + weight_decay * w         (gradient 0 where no lane of the step used the parameter)
//     m = momentum * m + g                             (first update of a parameter: m = g)
//     w = w - rate * m, with Nesterov w - rate * (g + momentum * m)
//     Nothing moves in a replica that has a loss which is not finite (check_losses). factor = min(1, limit / (norm + 1e-6)), the norm that
//     of all gradients of the replica together, in f64 (sum_squares: of each chunk; clip_factors: of all), and 1 without a limit.
// Layout: weights, momenta and gradients are f32 banks of one layout; a parameter starts at a multiple of 16 elements. A table of chunks says
//     what moves: up to 1,024 elements of one parameter each, those that do not move are not in it; a replica's stand together.
// Mapping: sgd_update and sum_squares, one block a chunk, 256 threads, four elements a thread; check_losses and clip_factors, one block a
//     replica. Tables hold the chunks of many replicas.
// Shared memory: one flag, or a sum of each warp.
// Traffic: 20 bytes an element (three read, two written; 16 without a gradient), 5 to 7 FLOPs: bound by traffic, 20 n / 3.35e12 s on
//     an H100. With a limit 4 bytes more.
// Determinism: no element depends on another; products and sums are never contracted. Squares are added by threads in order, threads of a warp by
//     halving, then warps and chunks in order.
#include "sums.cuh"
#include "shared.cuh"

namespace {

constexpr unsigned ELEMENTS_PER_THREAD = 4;

// The layouts of these are shared with src/ops/sgd/cuda.rs.
struct SgdChunk {
    uint32_t first;   // element of the banks, a multiple of 4
    uint32_t count;   // 1 to 1,024
    uint32_t replica; // which settings
    uint32_t flags;
};
constexpr uint32_t HAS_GRADIENT = 1, FIRST_UPDATE = 2;

struct SgdSettings {
    float* weights;
    float* momenta;
    const float* gradients;
    const uint32_t* is_finite;
    const float* factor; // null: 1
    float rate, weight_decay, momentum;
    uint32_t nesterov;
};
// A replica's chunks in the table, and what their gradients' norm is limited to.
struct ClipTask {
    float* factor;
    double limit;
    uint32_t first, chunks;
};
struct Losses {
    const float* losses;
    uint64_t images;
};
// A replica's lanes in the table of losses.
struct LossTask {
    uint32_t* is_finite;
    uint32_t first, lanes;
};
static_assert(sizeof(SgdChunk) == 16 && sizeof(SgdSettings) == 56 && sizeof(ClipTask) == 24 && sizeof(Losses) == 16 && sizeof(LossTask) == 16);

struct WarpSums {
    double sums[WARPS];
};
struct Flag {
    uint32_t flag;
};

// In every thread: the sum over the block.
__device__ __forceinline__ double block_sum(double value, WarpSums& shared) {
    value = warp_sum(value);
    if (threadIdx.x % 32 == 0) shared.sums[threadIdx.x / 32] = value;
    __syncthreads();
    double sum = 0.0;
    for (unsigned warp = 0; warp < WARPS; warp++) sum += shared.sums[warp];
    return sum;
}

__device__ __forceinline__ void move(float& w, float& m, float gradient, float momentum, const SgdSettings& settings) {
    const float g = __fadd_rn(gradient, __fmul_rn(settings.weight_decay, w));
    m = __fadd_rn(__fmul_rn(momentum, m), g);
    const float step = settings.nesterov ? __fadd_rn(g, __fmul_rn(settings.momentum, m)) : m;
    w = __fsub_rn(w, __fmul_rn(settings.rate, step));
}

} // namespace

extern "C" __global__ void __launch_bounds__(256) check_losses(const LossTask* __restrict__ tasks, const Losses* __restrict__ losses,
                                                               const uint32_t* __restrict__ count) {
    if (blockIdx.x >= *count) return;
    const LossTask task = tasks[blockIdx.x];
    bool is_finite = true;
    for (unsigned lane = 0; lane < task.lanes; lane++) {
        const Losses of_lane = losses[task.first + lane];
        for (unsigned image = threadIdx.x; image < of_lane.images; image += THREADS) is_finite &= isfinite(of_lane.losses[image]);
    }
    Flag& shared = shared_memory<Flag>();
    if (threadIdx.x == 0) shared.flag = 0;
    __syncthreads();
    if (!is_finite) atomicExch(&shared.flag, 1u);
    __syncthreads();
    if (threadIdx.x == 0) *task.is_finite = shared.flag == 0;
}

extern "C" __global__ void __launch_bounds__(256) sum_squares(double* __restrict__ sums, const SgdChunk* __restrict__ chunks,
                                                              const SgdSettings* __restrict__ replicas,
                                                              const uint32_t* __restrict__ count) {
    if (blockIdx.x >= *count) return;
    const SgdChunk chunk = chunks[blockIdx.x];
    double sum = 0.0;
    if (chunk.flags & HAS_GRADIENT) {
        const float* gradients = replicas[chunk.replica].gradients + chunk.first;
        for (unsigned element = threadIdx.x; element < chunk.count; element += THREADS) {
            const double gradient = gradients[element];
            sum += gradient * gradient;
        }
    }
    sum = block_sum(sum, shared_memory<WarpSums>());
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(256) clip_factors(const ClipTask* __restrict__ tasks, const double* __restrict__ sums,
                                                               const uint32_t* __restrict__ count) {
    if (blockIdx.x >= *count) return;
    const ClipTask task = tasks[blockIdx.x];
    double sum = 0.0;
    for (unsigned chunk = threadIdx.x; chunk < task.chunks; chunk += THREADS) sum += sums[task.first + chunk];
    sum = block_sum(sum, shared_memory<WarpSums>());
    if (threadIdx.x == 0) *task.factor = static_cast<float>(fmin(1.0, task.limit / (sqrt(sum) + 1e-6)));
}

extern "C" __global__ void __launch_bounds__(256) sgd_update(const SgdChunk* __restrict__ chunks,
                                                            const SgdSettings* __restrict__ replicas,
                                                            const uint32_t* __restrict__ count) {
    if (blockIdx.x >= *count) return;
    const SgdChunk chunk = chunks[blockIdx.x];
    const SgdSettings settings = replicas[chunk.replica];
    if (!*settings.is_finite) return;
    const float momentum = chunk.flags & FIRST_UPDATE ? 0.0f : settings.momentum;
    const float factor = settings.factor ? *settings.factor : 1.0f;
    const bool has_gradient = chunk.flags & HAS_GRADIENT;
    const unsigned offset = threadIdx.x * ELEMENTS_PER_THREAD;
    float* weights = settings.weights + chunk.first + offset;
    float* momenta = settings.momenta + chunk.first + offset;
    const float* gradients = settings.gradients + chunk.first + offset;
    if (offset + ELEMENTS_PER_THREAD <= chunk.count) {
        float4 w = *reinterpret_cast<float4*>(weights);
        float4 m = *reinterpret_cast<float4*>(momenta);
        float4 g = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (has_gradient) g = *reinterpret_cast<const float4*>(gradients);
        move(w.x, m.x, __fmul_rn(g.x, factor), momentum, settings);
        move(w.y, m.y, __fmul_rn(g.y, factor), momentum, settings);
        move(w.z, m.z, __fmul_rn(g.z, factor), momentum, settings);
        move(w.w, m.w, __fmul_rn(g.w, factor), momentum, settings);
        *reinterpret_cast<float4*>(weights) = w;
        *reinterpret_cast<float4*>(momenta) = m;
    } else {
        for (unsigned element = 0; offset + element < chunk.count; element++) {
            const float gradient = has_gradient ? __fmul_rn(gradients[element], factor) : 0.0f;
            move(weights[element], momenta[element], gradient, momentum, settings);
        }
    }
}
