// The head: global average pool, linear classifier, softmax cross-entropy.
//
// Mathematics: feature[f] = mean over pixels of relu(normalize(input))[f], in f32; logit[c] = bias[c] + sum over f of weights[c][f] *
//     feature[f]; loss = log(sum over c of exp(logit[c] - largest)) - (logit[label] - largest), with the exponentials, their sum and the
//     logarithm in f64; the prediction is the first class with the largest logit. In training dlogit[c] = (probability[c] - (c == label)) *
//     scale; dfeature[f] = sum over c of dlogit[c] * weights[c][f], divided by the pixels: the gradient of each pixel's activation;
//     dweights[c][f] = sum over images of dlogit[c] * feature[f]; dbias[c] = sum over images of dlogit[c].
// Layout: maps [image][pixel][channel]; a feature is a stored channel of the concatenated input; weights [class][feature].
// Mapping: forward, one block an image (x); gradient, one block a tile of up to 128 pixels (x) and 64 channels (z); weight gradient, one
//     block IMAGES images (x) and 1024 weights (z). 256 threads. y is the task.
// Shared memory: forward, sums of threads, then features and logits (later dlogits); gradient, sums of warps.
// Traffic: forward reads the input once; gradient reads it again where it needs masks or sums, and writes its gradient. 2 * features * classes
//     FLOPs an image, three times that in training.
// Determinism: every sum runs in an order that the shapes give: pixels of a thread, threads by halving, classes and images one after another.
#include "input_gradient.cuh"
#include "shared.cuh"

namespace {

constexpr unsigned IMAGES = 32;  // of a part of the weight gradient
constexpr unsigned COLUMNS = 64; // of the gradient
constexpr unsigned GROUPS = 64;  // of eight features, pooled together

// src/ops/head/cuda.rs has the same layout.
struct Head {
    Stage stage; // sources, source_count, relu, from, in_channels: the features; weights, weight_parts: classifier and bias; counter
    const uint8_t* labels; // of each image
    float* features;       // [image][feature]
    float* logits;         // [image][class]
    float* losses;         // of each image
    uint32_t* predictions;
    float* dlogits;   // [image][class], null: no training
    float* dfeatures; // [image][feature]
    uint32_t classes;
    float scale; // 1 / images of the lane
};
static_assert(sizeof(Head) == 288);

struct alignas(16) HeadSums {
    float4 of_threads[THREADS][2];
    double exponentials[WARPS];
    float largest[WARPS];
    uint32_t classes[WARPS];
};

// Features from sums over pixels, groups of eight channels by threads: thread t takes group t % groups and every rows-th pixel.
template <class T> __device__ __forceinline__ void pool(const Stage& stage, HeadSums& shared, float* features) {
    const unsigned pixels = stage.from.height * stage.from.width;
    const size_t start = size_t(blockIdx.x) * pixels;
    for (unsigned first = 0; first < stage.in_channels; first += GROUPS * 8) {
        const unsigned groups = min(GROUPS, (stage.in_channels - first) / 8), rows = THREADS / groups;
        const unsigned group = threadIdx.x % groups, row = threadIdx.x / groups;
        float sum[8] = {};
        if (row < rows) {
            const SourcePlace at = find_source(stage, first + group * 8);
            const Source& source = *at.source;
            const Normalizer normalizer(&source, at.channel);
            for (unsigned p = row; p < pixels; p += rows) {
                float values[8];
                load8(values, static_cast<const T*>(source.values) + (start + p) * source.channels + at.channel);
                normalizer.apply(values);
                if (stage.relu) relu_channels(values);
#pragma unroll
                for (int i = 0; i < 8; i++) sum[i] += values[i];
            }
        }
        float* const own = reinterpret_cast<float*>(shared.of_threads[threadIdx.x]);
        store8(own, sum);
        for (unsigned left = rows; left > 1;) {
            const unsigned half = (left + 1) / 2;
            __syncthreads();
            if (row + half < left) {
                float other[8];
                load8(other, own + half * groups * 8);
#pragma unroll
                for (int i = 0; i < 8; i++) sum[i] += other[i];
                store8(own, sum);
            }
            left = half;
        }
        if (row == 0) {
#pragma unroll
            for (int i = 0; i < 8; i++) sum[i] /= float(pixels);
            store8(features + first + group * 8, sum);
        }
        __syncthreads();
    }
}

// The largest logit and the first class that has it; a NaN of class 0 is never exceeded, another never exceeds.
struct Largest {
    float logit;
    uint32_t of_class;

    __device__ __forceinline__ void take(float other, uint32_t other_class) {
        if (other > logit || (other == logit && other_class < of_class)) logit = other, of_class = other_class;
    }
};

// Of all threads' logits, in all threads.
__device__ __forceinline__ Largest find_largest(const float* logits, unsigned classes, HeadSums& shared) {
    Largest largest = {-INFINITY, classes};
    for (unsigned c = threadIdx.x; c < classes; c += THREADS) largest.take(logits[c], c);
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) {
        const float other = __shfl_xor_sync(~0u, largest.logit, offset);
        largest.take(other, __shfl_xor_sync(~0u, largest.of_class, offset));
    }
    if (threadIdx.x % 32 == 0) {
        shared.largest[threadIdx.x / 32] = largest.logit;
        shared.classes[threadIdx.x / 32] = largest.of_class;
    }
    __syncthreads();
    for (unsigned w = 0; w < WARPS; w++) largest.take(shared.largest[w], shared.classes[w]);
    if (logits[0] != logits[0]) largest = {logits[0], 0};
    return largest;
}

// log(sum of exp(logit - largest)), in all threads.
__device__ __forceinline__ double log_sum(const float* logits, unsigned classes, float largest, HeadSums& shared) {
    double sum = 0.0;
    for (unsigned c = threadIdx.x; c < classes; c += THREADS) sum += exp(double(logits[c] - largest));
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) shared.exponentials[threadIdx.x / 32] = sum;
    __syncthreads();
    double total = 0.0;
    for (unsigned w = 0; w < WARPS; w++) total += shared.exponentials[w];
    return log(total);
}

template <class T> __device__ __forceinline__ void forward(const Head* heads, const uint32_t* count) {
    if (blockIdx.y >= *count) return;
    const Head& head = heads[blockIdx.y];
    const Stage& stage = head.stage;
    HeadSums& shared = shared_memory<HeadSums>();
    const unsigned count_of_features = stage.in_channels, classes = head.classes;
    float* const features = reinterpret_cast<float*>(&shared + 1);
    float* const logits = features + count_of_features;
    const size_t image = blockIdx.x;
    const unsigned lane = threadIdx.x % 32, pixels = stage.from.height * stage.from.width;

    pool<T>(stage, shared, features);
    for (unsigned f = threadIdx.x; f < count_of_features; f += THREADS) head.features[image * count_of_features + f] = features[f];
    for (unsigned c = threadIdx.x / 32; c < classes; c += WARPS) {
        const float* weights = stage.weights[0] + size_t(c) * count_of_features;
        float sum = 0.0f;
        for (unsigned f = lane; f < count_of_features; f += 32) sum = fmaf(weights[f], features[f], sum);
        sum = stage.weights[1][c] + warp_sum(sum);
        if (lane == 0) logits[c] = head.logits[image * classes + c] = sum;
    }
    __syncthreads();
    const Largest largest = find_largest(logits, classes, shared);
    const double log_of_sum = log_sum(logits, classes, largest.logit, shared);
    const unsigned label = head.labels[image];
    if (threadIdx.x == 0) {
        head.predictions[image] = largest.of_class;
        head.losses[image] = float(log_of_sum - double(logits[label] - largest.logit));
    }
    if (!head.dlogits) return;
    __syncthreads();
    for (unsigned c = threadIdx.x; c < classes; c += THREADS) {
        const double probability = exp(double(logits[c] - largest.logit) - log_of_sum);
        const float dlogit = float((probability - (c == label ? 1.0 : 0.0)) * double(head.scale));
        logits[c] = head.dlogits[image * classes + c] = dlogit;
    }
    __syncthreads();
    for (unsigned f = threadIdx.x; f < count_of_features; f += THREADS) {
        float sum = 0.0f;
        for (unsigned c = 0; c < classes; c++) sum = fmaf(logits[c], stage.weights[0][size_t(c) * count_of_features + f], sum);
        head.dfeatures[image * count_of_features + f] = sum / float(pixels);
    }
}

template <class T> __device__ __forceinline__ void gradient(const Head* heads, const uint32_t* count) {
    if (blockIdx.y >= *count) return;
    const Head& head = heads[blockIdx.y];
    const Stage& stage = head.stage;
    const unsigned first = blockIdx.z * COLUMNS;
    const Tiles tiles(stage.from, stage.from.chunk);
    const Divisor pixels_of_image(stage.from.height * stage.from.width);
    InputGradientWriter<T> writer(stage, first, min(COLUMNS, stage.in_channels - first));
    for (Tile tile(stage.from, tiles.begin); tile.index < tiles.end; tile.advance(stage.from)) {
        writer.write(tile, [&](float (&du)[8], unsigned p, unsigned group) {
            load8(du, head.dfeatures + size_t(tile.image + pixels_of_image(p)) * stage.in_channels + first + group * 8);
        });
    }
    writer.finish(stage, shared_memory<ChannelSums>());
}

// A thread has four weights of one class, and the class's bias where they are its first.
__device__ __forceinline__ void weight_gradient(const Head* heads, const uint32_t* count) {
    if (blockIdx.y >= *count) return;
    const Head& head = heads[blockIdx.y];
    const Stage& stage = head.stage;
    const unsigned features = stage.in_channels, classes = head.classes;
    const unsigned at = (blockIdx.z * THREADS + threadIdx.x) * 4, c = at / features, f = at % features;
    if (c >= classes) return;
    const unsigned begin = blockIdx.x * IMAGES, end = min(begin + IMAGES, stage.from.images);
    float sums[4] = {}, bias = 0.0f;
    for (unsigned image = begin; image < end; image++) {
        const float dlogit = head.dlogits[size_t(image) * classes + c];
        const float4 feature = *reinterpret_cast<const float4*>(head.features + size_t(image) * features + f);
        bias += dlogit;
        sums[0] = fmaf(dlogit, feature.x, sums[0]);
        sums[1] = fmaf(dlogit, feature.y, sums[1]);
        sums[2] = fmaf(dlogit, feature.z, sums[2]);
        sums[3] = fmaf(dlogit, feature.w, sums[3]);
    }
    *reinterpret_cast<float4*>(stage.weight_parts[0] + size_t(blockIdx.x) * classes * features + at) = make_float4(sums[0], sums[1], sums[2], sums[3]);
    if (f == 0) stage.weight_parts[1][size_t(blockIdx.x) * classes + c] = bias;
}

} // namespace

#define ARGUMENTS const Head *__restrict__ heads, const uint32_t *__restrict__ count
extern "C" __global__ void __launch_bounds__(256, 2) head_forward_f32(ARGUMENTS) { forward<float>(heads, count); }
extern "C" __global__ void __launch_bounds__(256, 2) head_forward_bf16(ARGUMENTS) { forward<bf16>(heads, count); }
extern "C" __global__ void __launch_bounds__(256, 2) head_gradient_f32(ARGUMENTS) { gradient<float>(heads, count); }
extern "C" __global__ void __launch_bounds__(256, 2) head_gradient_bf16(ARGUMENTS) { gradient<bf16>(heads, count); }
extern "C" __global__ void __launch_bounds__(256) head_weight_gradient(ARGUMENTS) { weight_gradient(heads, count); }
