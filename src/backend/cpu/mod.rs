//! The backend for use: f32, NHWC, SIMD, rayon.
