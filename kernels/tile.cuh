// Where the pixels of a tile and of its neighbourhood lie. What a block asks again and again is known without a division.
#pragma once
#include "ptx.cuh"
#include "stage.cuh"

// Distance of pixels in a tile of sums: odd, so that a column's numbers lie in different banks.
template <unsigned COLUMNS> constexpr unsigned TILE = COLUMNS + 1;

__device__ __forceinline__ unsigned divide_up(unsigned a, unsigned b) { return (a + b - 1) / b; }

// By a stride, of which all but 1 and 2 are rare.
__device__ __forceinline__ unsigned divide(unsigned a, unsigned b) { return b == 1 ? a : b == 2 ? a / 2 : a / b; }

__device__ __forceinline__ int floor_divide(int a, int b) {
    if (b == 1) return a;
    if (b == 2) return a >> 1;
    return a >= 0 ? a / b : -((b - 1 - a) / b);
}

// Divides by a number that stays the same. Exact for n up to 4094 with n * value < 2^20, and for all n < value.
struct Divisor {
    unsigned value, reciprocal;

    __device__ __forceinline__ explicit Divisor(unsigned value) : value(value), reciprocal((1u << 20) / value + 1) {}
    __device__ __forceinline__ unsigned operator()(unsigned n) const { return n * reciprocal >> 20; }
};

// A tile of a map. Its pixels, all `count` that exist, follow one another in the map from pixel `first`: where a tile does not have the map's
// width, it is one row.
struct Tile {
    unsigned index, first, count;
    int image, y, x; // of its first pixel

    __device__ __forceinline__ Tile(const Tiling& map, unsigned index) : index(index) {
        const unsigned across = divide_up(map.width, map.columns), down = divide_up(map.height, map.rows), row = index / across;
        x = (index - row * across) * map.columns;
        y = row % down * map.rows;
        image = row / down * map.together;
        settle(map);
    }

    // To the next one.
    __device__ __forceinline__ void advance(const Tiling& map) {
        index++;
        x += map.columns;
        if (unsigned(x) >= map.width) {
            x = 0, y += map.rows;
            if (unsigned(y) >= map.height) y = 0, image += map.together;
        }
        settle(map);
    }

  private:
    __device__ __forceinline__ void settle(const Tiling& map) {
        first = (image * map.height + y) * map.width + x;
        count = min(map.together, map.images - image) * min(map.rows, map.height - y) * min(map.columns, map.width - x);
    }
};

// The tiles of block x in a launch whose blocks take `size` of them each.
struct Tiles {
    unsigned begin, end;

    __device__ __forceinline__ Tiles(const Tiling& map, unsigned size) : begin(blockIdx.x * size), end(min(begin + size, map.tiles)) {}
};

struct Pixel {
    int image, y, x;
};

// Pixels of a rectangle, row by row, one image after the other: of every tile of a map, or around one.
struct Rectangle {
    unsigned together;
    Divisor rows, columns;

    __device__ __forceinline__ Rectangle(unsigned together, unsigned rows, unsigned columns) : together(together), rows(rows), columns(columns) {}
    __device__ __forceinline__ explicit Rectangle(const Tiling& map) : Rectangle(map.together, map.rows, map.columns) {}

    __device__ __forceinline__ unsigned pixels() const { return together * rows.value * columns.value; }

    // From the first one.
    __device__ __forceinline__ Pixel pixel(unsigned p) const {
        const unsigned row = columns(p), image = rows(row);
        return {int(image), int(row - image * rows.value), int(p - row * columns.value)};
    }

    __device__ __forceinline__ unsigned place(unsigned image, unsigned y, unsigned x) const { return (image * rows.value + y) * columns.value + x; }
};

// A rectangle around a tile, with a border that may lie outside the map.
struct Halo : Rectangle {
    int image = 0, y = 0, x = 0;

    __device__ __forceinline__ Halo(unsigned together, unsigned rows, unsigned columns) : Rectangle(together, rows, columns) {}

    // Pixel h in a map, or false where it is outside.
    __device__ __forceinline__ bool find(unsigned& place, const Tiling& map, unsigned h) const {
        const Pixel at = pixel(h);
        const unsigned row = y + at.y, column = x + at.x;
        place = ((image + at.image) * map.height + row) * map.width + column;
        return image + at.image < int(map.images) && row < map.height && column < map.width;
    }
};

// The input pixels under the windows of a tile of output pixels.
__device__ __forceinline__ Halo under_windows(const Stage& stage) {
    const Window& w = stage.window;
    const unsigned span = w.diagonal ? 2 : (w.kernel - 1) * w.dilation + 1;
    return {stage.to.together, (stage.to.rows - 1) * w.stride + span, (stage.to.columns - 1) * w.stride + span};
}

// Moves that to a tile.
__device__ __forceinline__ void place_under(Halo& halo, const Stage& stage, const Tile& tile) {
    const int stride = stage.window.stride, padding = stage.window.padding;
    halo.image = tile.image, halo.y = tile.y * stride - padding, halo.x = tile.x * stride - padding;
}

// Where in that halo the first tap of a tile's pixel lies; further taps are `tap_place` on.
__device__ __forceinline__ unsigned window_place(const Stage& stage, const Rectangle& tile, const Halo& halo, unsigned p) {
    const Pixel at = tile.pixel(p);
    return halo.place(at.image, at.y * stage.window.stride, at.x * stage.window.stride);
}

// Row and column of a tap relative to the window's first.
struct TapPlace {
    int y, x;
};
__device__ __forceinline__ TapPlace tap_place(const Window& w, unsigned tap) {
    if (w.diagonal) return {int(tap), int(tap)};
    const unsigned row = tap / w.kernel;
    return {int(row * w.dilation), int((tap - row * w.kernel) * w.dilation)};
}

// Windows that may hold one of `inputs` neighbouring pixels, along one axis.
__device__ __forceinline__ unsigned windows_above(const Window& w, unsigned inputs) {
    const unsigned span = w.diagonal ? 1 : (w.kernel - 1) * w.dilation;
    return divide(inputs - 1 + span, w.stride) + (w.stride == 1 ? 1 : 2);
}

// The output pixels whose windows hold a pixel of a tile of input pixels.
__device__ __forceinline__ Halo above_pixels(const Stage& stage) {
    const Window& w = stage.window;
    return {stage.from.together, windows_above(w, stage.from.rows), windows_above(w, stage.from.columns)};
}

// Moves that to a tile.
__device__ __forceinline__ void place_above(Halo& halo, const Stage& stage, const Tile& tile) {
    const Window& w = stage.window;
    const int span = w.diagonal ? 1 : (w.kernel - 1) * w.dilation, stride = w.stride, padding = w.padding;
    halo.image = tile.image;
    halo.y = floor_divide(tile.y + padding - span, stride);
    halo.x = floor_divide(tile.x + padding - span, stride);
}
