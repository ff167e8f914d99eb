// Where the pixels of a tile and of its neighbourhood lie.
#pragma once
#include "ptx.cuh"
#include "stage.cuh"

// Distance of pixels in a tile of sums: odd, so that a column's numbers lie in different banks.
template <unsigned COLUMNS> constexpr unsigned TILE = COLUMNS + 1;

struct Pixel {
    int image, y, x;
};

// Tile `index` of a map: pixel p is row p / columns of image p / (rows * columns) of the tile.
struct Tile {
    Tiling map;
    int image, y, x; // of its first pixel

    __device__ __forceinline__ Tile(const Tiling& tiling, unsigned index) : map(tiling) {
        const unsigned across = (map.width + map.columns - 1) / map.columns, down = (map.height + map.rows - 1) / map.rows;
        x = index % across * map.columns;
        y = index / across % down * map.rows;
        image = index / (across * down) * map.together;
    }

    // The same; places of its pixels are not kept in registers from before.
    __device__ __forceinline__ Tile anew() const {
        Tile tile = *this;
        opaque(tile.map.rows), opaque(tile.map.columns);
        return tile;
    }

    __device__ __forceinline__ unsigned pixels() const { return map.together * map.rows * map.columns; }

    __device__ __forceinline__ Pixel pixel(unsigned p) const {
        const unsigned row = p / map.columns;
        return {image + int(row / map.rows), y + int(row % map.rows), x + int(p % map.columns)};
    }

    __device__ __forceinline__ bool holds(const Pixel& at) const {
        return at.image < int(map.images) && at.y < int(map.height) && at.x < int(map.width);
    }

    // Pixels that exist.
    __device__ __forceinline__ unsigned count() const {
        const unsigned images = min(map.together, map.images - image);
        return images * min(map.rows, map.height - y) * min(map.columns, map.width - x);
    }
};

__device__ __forceinline__ unsigned tile_count(const Tiling& map) {
    return (map.images + map.together - 1) / map.together * ((map.height + map.rows - 1) / map.rows) * ((map.width + map.columns - 1) / map.columns);
}

// Index of a pixel in its map.
__device__ __forceinline__ size_t place(const Tiling& map, const Pixel& at) {
    return (size_t(at.image) * map.height + at.y) * map.width + at.x;
}

__device__ __forceinline__ bool inside(const Tiling& map, const Pixel& at) {
    return at.image < int(map.images) && unsigned(at.y) < map.height && unsigned(at.x) < map.width;
}

// A rectangle of a map around a tile, with a border that may lie outside: row by row, one image after the other.
struct Halo {
    Tiling map;
    int image, y, x;
    unsigned together, rows, columns;

    // As of a tile.
    __device__ __forceinline__ Halo anew() const {
        Halo halo = *this;
        opaque(halo.rows), opaque(halo.columns);
        return halo;
    }

    __device__ __forceinline__ unsigned pixels() const { return together * rows * columns; }

    __device__ __forceinline__ Pixel pixel(unsigned h) const {
        const unsigned row = h / columns;
        return {image + int(row / rows), y + int(row % rows), x + int(h % columns)};
    }
};

__device__ __forceinline__ int floor_divide(int a, int b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

// The input pixels under the windows of a tile of output pixels.
__device__ __forceinline__ Halo under_windows(const Stage& stage, const Tile& tile) {
    const Window& w = stage.window;
    const unsigned span = w.diagonal ? 2 : (w.kernel - 1) * w.dilation + 1;
    const int stride = w.stride, padding = w.padding;
    return {stage.from, tile.image, tile.y * stride - padding, tile.x * stride - padding, tile.map.together,
            (tile.map.rows - 1) * w.stride + span, (tile.map.columns - 1) * w.stride + span};
}

// Where in that halo the first tap of a tile's pixel lies; further taps are `tap_offset` on.
__device__ __forceinline__ unsigned window_place(const Stage& stage, const Tile& tile, const Halo& halo, unsigned p) {
    const unsigned row = p / tile.map.columns, column = p % tile.map.columns;
    const unsigned image = row / tile.map.rows, y = row % tile.map.rows;
    return (image * halo.rows + y * stage.window.stride) * halo.columns + column * stage.window.stride;
}

// Row and column of a tap relative to the window's first.
struct TapPlace {
    int y, x;
};
__device__ __forceinline__ TapPlace tap_place(const Window& w, unsigned tap) {
    if (w.diagonal) return {int(tap), int(tap)};
    return {int(tap / w.kernel * w.dilation), int(tap % w.kernel * w.dilation)};
}

// The output pixels whose windows hold a pixel of a tile of input pixels.
__device__ __forceinline__ Halo above_pixels(const Stage& stage, const Tile& tile) {
    const Window& w = stage.window;
    const int span = w.diagonal ? 1 : (w.kernel - 1) * w.dilation, stride = w.stride, padding = w.padding;
    const unsigned more = stride == 1 ? 1 : 2;
    return {stage.to, tile.image, floor_divide(tile.y + padding - span, stride), floor_divide(tile.x + padding - span, stride),
            tile.map.together, (tile.map.rows - 1 + span) / w.stride + more, (tile.map.columns - 1 + span) / w.stride + more};
}

// Where in that halo the output pixel lies whose tap is input pixel p of the tile, or -1 if there is none. Places outside the map hold zeros.
__device__ __forceinline__ int window_of(const Stage& stage, const Tile& tile, const Halo& halo, unsigned p, TapPlace tap) {
    const int stride = stage.window.stride, padding = stage.window.padding;
    const int row = p / tile.map.columns, column = p % tile.map.columns;
    const int image = row / int(tile.map.rows);
    const int y = tile.y + row % int(tile.map.rows) + padding - tap.y, x = tile.x + column + padding - tap.x;
    const int oy = floor_divide(y, stride), ox = floor_divide(x, stride);
    if (oy * stride != y || ox * stride != x) return -1;
    return (image * int(halo.rows) + oy - halo.y) * int(halo.columns) + ox - halo.x;
}
