//! Global average pool, linear classifier, mean cross-entropy of the softmax over the images.

/// Result of the head's forward pass.
pub struct Forward {
    /// `[image][channel]`.
    pub pooled: Vec<f64>,
    /// `[image][class]`.
    pub logits: Vec<f64>,
    /// Per image.
    pub losses: Vec<f64>,
    /// First largest logit in class order, per image.
    pub predictions: Vec<u8>,
}

/// `x`: `[image][pixel][channel]`; `weights`: `[class][channel]`.
pub fn forward(x: &[f64], pixels: usize, channels: usize, weights: &[f64], bias: &[f64], labels: &[u8]) -> Forward {
    let mut pooled = vec![0.0; labels.len() * channels];
    for (pooled, x) in pooled.chunks_mut(channels).zip(x.chunks(pixels * channels)) {
        for pixel in x.chunks(channels) {
            pooled.iter_mut().zip(pixel).for_each(|(p, x)| *p += x);
        }
        pooled.iter_mut().for_each(|p| *p /= pixels as f64);
    }
    let mut logits = Vec::with_capacity(labels.len() * bias.len());
    let mut losses = Vec::with_capacity(labels.len());
    let mut predictions = Vec::with_capacity(labels.len());
    for (pooled, label) in pooled.chunks(channels).zip(labels) {
        let scores: Vec<f64> = (weights.chunks(channels).zip(bias))
            .map(|(row, bias)| bias + row.iter().zip(pooled).map(|(w, p)| w * p).sum::<f64>())
            .collect();
        let mut best = 0;
        (1..scores.len()).for_each(|class| {
            if scores[class] > scores[best] {
                best = class
            }
        });
        let largest = scores[best];
        let total: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
        losses.push(total.ln() + largest - scores[usize::from(*label)]);
        predictions.push(best as u8);
        logits.extend(scores);
    }
    Forward { pooled, logits, losses, predictions }
}

/// Gradients of x, the weights and the bias of the mean loss.
pub fn backward(forward: &Forward, pixels: usize, weights: &[f64], labels: &[u8]) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let images = labels.len();
    let (channels, classes) = (forward.pooled.len() / images, forward.logits.len() / images);
    let mut dx = Vec::with_capacity(images * pixels * channels);
    let mut dweights = vec![0.0; weights.len()];
    let mut dbias = vec![0.0; classes];
    for ((pooled, logits), label) in forward.pooled.chunks(channels).zip(forward.logits.chunks(classes)).zip(labels) {
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = logits.iter().map(|score| (score - largest).exp()).sum();
        let mut dpooled = vec![0.0; channels];
        for (class, score) in logits.iter().enumerate() {
            let target = if class == usize::from(*label) { 1.0 } else { 0.0 };
            let gradient = ((score - largest).exp() / total - target) / images as f64;
            dbias[class] += gradient;
            let row = class * channels..(class + 1) * channels;
            dweights[row.clone()].iter_mut().zip(pooled).for_each(|(w, p)| *w += gradient * p);
            dpooled.iter_mut().zip(&weights[row]).for_each(|(d, w)| *d += gradient * w);
        }
        for _ in 0..pixels {
            dx.extend(dpooled.iter().map(|d| d / pixels as f64));
        }
    }
    (dx, dweights, dbias)
}
