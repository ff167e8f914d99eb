// Numbers of a mini-batch from resident bytes, with crops, flips and cutouts.
//
// Mathematics: out(y, x, c) = table[c][byte], the byte at (y + dy, x' + dx, c) of the image, x' = x or width - 1 - x when flipped;
//     byte 0 outside the image; then 0 inside the cutout and in padding channels. The table holds (byte / 255 - mean) / std.
// Layout: pixels u8 [image of the set][row][column][channel]; table f32 [channel][256]; out f32 [image of the mini-batch][row]
//     [column][channel, padded to a multiple of 4].
// Mapping: one thread a pixel, 256 threads a block; grid (blocks of pixels, images of the mini-batch).
// Shared memory: none. The table (3 KiB with three channels) stays in the first-level cache.
// Traffic: c bytes read and 4 padded(c) bytes written a pixel (19 with three channels), no FLOPs.
// Determinism: no pixel depends on another.
#include <cstdint>

// The layout of both is shared with src/data/cuda.rs.
struct PixelPlacement {
    int32_t dy, dx;
    uint32_t flip;
    uint16_t top, bottom, left, right; // cutout: rows top..bottom, columns left..right
};
struct PixelShape {
    uint32_t height, width, channels;
};
static_assert(sizeof(PixelPlacement) == 20 && sizeof(PixelShape) == 12);

extern "C" __global__ void __launch_bounds__(256) gather_pixels(float4* __restrict__ out, const uint8_t* __restrict__ pixels,
                                                               const float* __restrict__ table,
                                                               const uint32_t* __restrict__ images,
                                                               const PixelPlacement* __restrict__ placements,
                                                               const PixelShape shape) {
    const unsigned count = shape.height * shape.width;
    const unsigned pixel = blockIdx.x * blockDim.x + threadIdx.x;
    if (pixel >= count) return;
    const PixelPlacement place = placements[blockIdx.y];
    const unsigned y = pixel / shape.width, x = pixel % shape.width;
    const unsigned source_y = y + place.dy;
    const unsigned source_x = (place.flip ? shape.width - 1 - x : x) + place.dx;
    // Positions before the image wrap to large numbers.
    const bool inside = source_y < shape.height && source_x < shape.width;
    const bool cut = y >= place.top && y < place.bottom && x >= place.left && x < place.right;
    const uint8_t* source =
        pixels + (static_cast<size_t>(images[blockIdx.y]) * count + (inside ? source_y * shape.width + source_x : 0)) * shape.channels;
    const unsigned groups = (shape.channels + 3) / 4;
    float4* destination = out + (static_cast<size_t>(blockIdx.y) * count + pixel) * groups;
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
