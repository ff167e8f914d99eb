// Stochastic gradient descent with momentum over whole banks of parameters (docs/numerics.md, "Optimizer").
//
// Mathematics, per element, every operation rounded on its own as on the CPU:
//     g = scale * gradient + weight_decay * w          (gradient 0 where no lane of the step used the parameter)
//     m = momentum * m + g                             (first update of a parameter: m = g)
//     w = w - rate * m, with Nesterov w - rate * (g + momentum * m)
// Layout: weights, momenta and gradients are f32 banks of one layout; a parameter starts at a multiple of 16 elements. A table
//     of chunks says what moves: up to 1,024 elements of one parameter each, those that do not move are not in it.
// Mapping: one block a chunk, 256 threads, four elements a thread; the table may hold the chunks of many replicas.
// Shared memory: none.
// Traffic: 20 bytes an element (three read, two written; 16 without a gradient), 5 to 7 FLOPs: bound by traffic, 20 n / 3.35e12 s on
//     an H100.
// Determinism: no element depends on another; products and sums are never contracted.
#include <cstdint>

constexpr unsigned ELEMENTS_PER_THREAD = 4;

// The layouts of these two are shared with src/ops/sgd/cuda.rs.
struct SgdChunk {
    uint32_t first;   // element of the banks, a multiple of 4
    uint32_t count;   // 1 to 1,024
    uint32_t replica; // which settings
    uint32_t flags;
};
constexpr uint32_t HAS_GRADIENT = 1, FIRST_UPDATE = 2;

struct SgdSettings {
    float rate, weight_decay, momentum, scale;
    uint32_t nesterov;
};
static_assert(sizeof(SgdChunk) == 16 && sizeof(SgdSettings) == 20);

__device__ __forceinline__ void move(float& w, float& m, float gradient, float momentum, const SgdSettings& settings) {
    const float g = __fadd_rn(gradient, __fmul_rn(settings.weight_decay, w));
    m = __fadd_rn(__fmul_rn(momentum, m), g);
    const float step = settings.nesterov ? __fadd_rn(g, __fmul_rn(settings.momentum, m)) : m;
    w = __fsub_rn(w, __fmul_rn(settings.rate, step));
}

extern "C" __global__ void __launch_bounds__(256) sgd_update(float* __restrict__ weights, float* __restrict__ momenta,
                                                            const float* __restrict__ gradients,
                                                            const SgdChunk* __restrict__ chunks,
                                                            const SgdSettings* __restrict__ replicas) {
    const SgdChunk chunk = chunks[blockIdx.x];
    const SgdSettings settings = replicas[chunk.replica];
    const float momentum = chunk.flags & FIRST_UPDATE ? 0.0f : settings.momentum;
    const bool has_gradient = chunk.flags & HAS_GRADIENT;
    const unsigned offset = threadIdx.x * ELEMENTS_PER_THREAD;
    const unsigned first = chunk.first + offset;
    if (offset + ELEMENTS_PER_THREAD <= chunk.count) {
        float4 w = *reinterpret_cast<float4*>(weights + first);
        float4 m = *reinterpret_cast<float4*>(momenta + first);
        float4 g = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (has_gradient) g = *reinterpret_cast<const float4*>(gradients + first);
        move(w.x, m.x, __fmul_rn(g.x, settings.scale), momentum, settings);
        move(w.y, m.y, __fmul_rn(g.y, settings.scale), momentum, settings);
        move(w.z, m.z, __fmul_rn(g.z, settings.scale), momentum, settings);
        move(w.w, m.w, __fmul_rn(g.w, settings.scale), momentum, settings);
        *reinterpret_cast<float4*>(weights + first) = w;
        *reinterpret_cast<float4*>(momenta + first) = m;
    } else {
        for (unsigned element = offset; element < chunk.count; element++) {
            const unsigned at = chunk.first + element;
            const float gradient = has_gradient ? __fmul_rn(gradients[at], settings.scale) : 0.0f;
            move(weights[at], momenta[at], gradient, momentum, settings);
        }
    }
}
