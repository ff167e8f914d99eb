//! Batch normalization (Ioffe and Szegedy 2015): `z = gamma * (y - mean) / sqrt(variance + epsilon) + beta` per channel.

/// Per channel: count of values, mean, and sum of squared deviations from it.
pub fn moments(y: &[f64], channels: usize) -> (f64, Vec<f64>, Vec<f64>) {
    let count = (y.len() / channels) as f64;
    let mut mean = vec![0.0; channels];
    for pixel in y.chunks_exact(channels) {
        mean.iter_mut().zip(pixel).for_each(|(m, y)| *m += y);
    }
    mean.iter_mut().for_each(|m| *m /= count);
    let mut squares = vec![0.0; channels];
    for pixel in y.chunks_exact(channels) {
        for ((s, m), y) in squares.iter_mut().zip(&mean).zip(pixel) {
            *s += (y - m) * (y - m);
        }
    }
    (count, mean, squares)
}

/// `(y - mean) / sqrt(variance + epsilon)`.
pub fn standardize(y: &[f64], mean: &[f64], variance: &[f64], epsilon: f64) -> Vec<f64> {
    let channels = mean.len();
    let deviation: Vec<f64> = variance.iter().map(|v| (v + epsilon).sqrt()).collect();
    y.iter().enumerate().map(|(i, y)| (y - mean[i % channels]) / deviation[i % channels]).collect()
}

/// `gamma * xhat + beta`; without an affine part, `xhat`.
pub fn scale_and_shift(xhat: &mut [f64], affine: Option<(&[f64], &[f64])>) {
    if let Some((gamma, beta)) = affine {
        let channels = gamma.len();
        xhat.iter_mut().enumerate().for_each(|(i, x)| *x = gamma[i % channels] * *x + beta[i % channels]);
    }
}

/// Gradients under batch statistics of y, gamma and beta, from the gradient of z.
pub fn backward(
    y: &[f64],
    mean: &[f64],
    variance: &[f64],
    epsilon: f64,
    gamma: Option<&[f64]>,
    dz: &[f64],
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let channels = mean.len();
    let count = (y.len() / channels) as f64;
    let xhat = standardize(y, mean, variance, epsilon);
    let mut dbeta = vec![0.0; channels];
    let mut dgamma = vec![0.0; channels];
    for (i, dz) in dz.iter().enumerate() {
        dbeta[i % channels] += dz;
        dgamma[i % channels] += dz * xhat[i];
    }
    let dy = (dz.iter().enumerate())
        .map(|(i, dz)| {
            let c = i % channels;
            let scale = gamma.map_or(1.0, |gamma| gamma[c]) / (variance[c] + epsilon).sqrt();
            scale * (dz - dbeta[c] / count - xhat[i] * dgamma[c] / count)
        })
        .collect();
    (dy, dgamma, dbeta)
}
