// Numbers of mini-batches from resident bytes, with crops, flips and cutouts.
//
// Mathematics: out(y, x, c) = table[c][byte], the byte at (y + dy, x' + dx, c) of the image, x' = x or width - 1 - x when flipped;
//     byte 0 outside the image; then 0 inside the cutout and in padding channels. The table holds (byte / 255 - mean) / std.
// Layout: pixels u8 [image of the set][row][column][channel]; table f32 [channel][256]; out f32 [row][column][channel, padded to a multiple
//     of 4] of every task, an image of a mini-batch.
// Mapping: one thread a pixel, 256 threads a block; grid (tasks, blocks of pixels).
// Shared memory: none. The table (3 KiB with three channels) stays in the first-level cache.
// Traffic: c bytes read and 4 padded(c) bytes written a pixel (19 with three channels), no FLOPs.
// Determinism: no pixel depends on another.
#include <cstdint>

namespace {

// The layouts of both are shared with src/data/cuda.rs.
struct PixelTask {
    float4* out;
    uint32_t image; // of the set
    int32_t dy, dx;
    uint32_t flip;
    uint16_t top, bottom, left, right; // cutout: rows top..bottom, columns left..right
};
struct PixelShape {
    uint32_t height, width, channels;
};
static_assert(sizeof(PixelTask) == 32 && sizeof(PixelShape) == 12);

} // namespace

extern "C" __global__ void __launch_bounds__(256) gather_pixels(const PixelTask* __restrict__ tasks, const uint8_t* __restrict__ pixels,
                                                               const float* __restrict__ table, const PixelShape* __restrict__ size,
                                                               const uint32_t* __restrict__ count) {
    if (blockIdx.x >= *count) return;
    const PixelShape shape = *size;
    const unsigned all = shape.height * shape.width;
    const unsigned pixel = blockIdx.y * blockDim.x + threadIdx.x;
    if (pixel >= all) return;
    const PixelTask task = tasks[blockIdx.x];
    const unsigned y = pixel / shape.width, x = pixel % shape.width;
    const unsigned source_y = y + task.dy;
    const unsigned source_x = (task.flip ? shape.width - 1 - x : x) + task.dx;
    // Positions before the image wrap to large numbers.
    const bool inside = source_y < shape.height && source_x < shape.width;
    const bool cut = y >= task.top && y < task.bottom && x >= task.left && x < task.right;
    const uint8_t* source =
        pixels + (static_cast<size_t>(task.image) * all + (inside ? source_y * shape.width + source_x : 0)) * shape.channels;
    const unsigned groups = (shape.channels + 3) / 4;
    float4* destination = task.out + static_cast<size_t>(pixel) * groups;
    for (unsigned group = 0; group < groups; group++) {
        float values[4];
#pragma unroll
        for (unsigned i = 0; i < 4; i++) {
            const unsigned channel = group * 4 + i;
            const bool zero = cut || channel >= shape.channels;
            values[i] = zero ? 0.0f : table[channel * 256 + (inside ? source[channel] : 0)];
        }
        destination[group] = make_float4(values[0], values[1], values[2], values[3]);
    }
}
