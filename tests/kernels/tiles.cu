// One warp multiplies bf16 matrices through cp.async, ldmatrix and mma.sync: c (16 x 8) = a (16 x depth, by rows) b (depth x 8, by
// columns). Depth is a multiple of 16. Rows of the tiles are 48 bytes apart.
#include "ptx.cuh"
#include "shared.cuh"

struct Tiles {
    struct Row {
        uint16_t columns[24];
    } a[16], b[8];
};
static_assert(sizeof(Tiles) == 24 * 48);

extern "C" __global__ void multiplies_tiles(float* c, const uint16_t* a, const uint16_t* b, unsigned depth) {
    Tiles& tiles = shared_memory<Tiles>();
    const unsigned lane = threadIdx.x;
    float sums[4] = {0, 0, 0, 0};
    for (unsigned k = 0; k < depth; k += 16) {
        copy_async_16(&tiles.a[lane / 2].columns[lane % 2 * 8], a + lane / 2 * depth + k + lane % 2 * 8);
        if (lane < 16) copy_async_16(&tiles.b[lane / 2].columns[lane % 2 * 8], b + lane / 2 * depth + k + lane % 2 * 8);
        commit_copies();
        wait_copies<0>();
        __syncthreads();
        uint32_t left[4], right[4];
        load_matrices<false>(left, &tiles.a[lane % 16].columns[lane / 16 * 8]);
        load_matrices<false>(right, &tiles.b[lane % 8].columns[lane / 8 % 2 * 8]);
        const uint32_t two[2] = {right[0], right[1]};
        mma_bf16(sums, left, two);
        __syncthreads();
    }
    const unsigned row = lane / 4, column = lane % 4 * 2;
    *reinterpret_cast<float2*>(c + row * 8 + column) = make_float2(sums[0], sums[1]);
    *reinterpret_cast<float2*>(c + (row + 8) * 8 + column) = make_float2(sums[2], sums[3]);
}

// Transposes four 8x8 matrices of 16-bit numbers that lie one after another.
extern "C" __global__ void transposes_matrices(uint32_t* out, const uint16_t* in) {
    struct Matrices {
        uint16_t rows[32][8];
    };
    Matrices& matrices = shared_memory<Matrices>();
    for (unsigned column = 0; column < 8; column++) matrices.rows[threadIdx.x][column] = in[threadIdx.x * 8 + column];
    __syncthreads();
    uint32_t two[4];
    load_matrices<true>(two, matrices.rows[threadIdx.x]);
    for (unsigned matrix = 0; matrix < 4; matrix++) out[matrix * 32 + threadIdx.x] = two[matrix];
}
