// Rows of a slice of 16 channels around a tile, in a ring in shared memory: a tile below another one finds there what that one has filled.
#pragma once
#include "input.cuh"

// Numbers between the pixels of a ring: the runs that a warp reads together (filter.cuh) lie in different banks.
constexpr unsigned RING_PIXEL = CHANNELS + 4;

// Row y of an image, from -padding on, has the slot (y + padding) & mask. Where a tile holds several images, and with strides, it is no ring: every
// tile fills all rows around it anew.
struct Ring {
    unsigned together, origin, slots, mask; // `origin`: minus the row of the first slot; `slots` of each image
    Divisor columns, all, more; // pixels of a row; rows around a tile; those that a tile below adds
    int image = -1, y = 0, x = 0, from = 0; // around the tile: its first row and column, the first row that is not there yet

    // `kept`: rows above those around a tile that are read, too.
    __device__ __forceinline__ Ring(unsigned together, unsigned padding, unsigned columns, unsigned all, unsigned more, unsigned kept, unsigned stride)
        : together(together), origin(padding), slots(all), mask(~0u), columns(columns), all(all), more(more) {
        if (together > 1 || stride > 1) return;
        for (slots = 2; slots < all + kept;) slots *= 2;
        mask = slots - 1;
    }

    // Around tiles of output pixels.
    __device__ __forceinline__ static Ring under_windows(const Stage& stage, unsigned kept) {
        const Halo halo = ::under_windows(stage);
        return {halo.together, stage.window.padding, halo.columns.value, halo.rows.value, stage.to.rows * stage.window.stride, kept, stage.window.stride};
    }

    // Whether rows stay from tile to tile.
    __device__ __forceinline__ bool keeps() const { return mask != ~0u; }

    __device__ __forceinline__ unsigned pixels() const { return together * slots * columns.value; }

    // Moves to a tile of output pixels.
    __device__ __forceinline__ void place_under(const Stage& stage, const Tile& tile) {
        const int stride = stage.window.stride, first = -int(stage.window.padding), next = tile.y * stride + first, column = tile.x * stride + first, end = y + int(all.value);
        const bool is_below = keeps() && image == tile.image && x == column && next > y && next <= end;
        from = is_below ? end : next;
        if (!keeps()) origin = -next;
        image = tile.image, y = next, x = column;
    }

    // Rows of each image that are to be filled.
    __device__ __forceinline__ const Divisor& missing() const { return from == y ? all : more; }
    __device__ __forceinline__ unsigned missing_pixels() const { return together * missing().value * columns.value; }

    // Of a row of one of the images of the tile, the first pixel.
    __device__ __forceinline__ unsigned row_place(unsigned image, int row) const { return (image * slots + ((row + origin) & mask)) * columns.value; }

    // Of the h-th of these pixels, where it stands in the ring and in the map, or false where it is outside.
    __device__ __forceinline__ bool find(unsigned& place, unsigned& slot, const Tiling& map, unsigned h) const {
        const Divisor& rows = missing();
        const unsigned row = columns(h), column = h - row * columns.value, index = rows(row);
        const int at = from + int(row - index * rows.value);
        slot = row_place(index, at) + column;
        place = ((image + index) * map.height + at) * map.width + x + column;
        return image + int(index) < int(map.images) && unsigned(at) < map.height && unsigned(x + int(column)) < map.width;
    }
};
