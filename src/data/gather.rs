//! From resident bytes to the numbers of a mini-batch.

use std::ops::Range;

use rayon::prelude::*;

use super::{Dataset, PixelTable, Placement, Rectangle};
use crate::tensor::{IMAGE_CHANNEL_MULTIPLE, Real, Shape};

/// Images that one task gathers at least: below that, handing work to threads costs more than it saves.
const IMAGES_PER_TASK: usize = 8;

/// Numbers of one gathered image: height x width x channels, the channels padded to a multiple of 4.
pub fn image_length(image: Shape) -> usize {
    image.pixels() * image.channels.next_multiple_of(IMAGE_CHANNEL_MULTIPLE)
}

/// The classes of `images`, in their order.
///
/// # Panics
/// If the set has no such image.
pub fn labels(dataset: &Dataset, images: &[u32]) -> Vec<u8> {
    images.iter().map(|&image| dataset.labels[image as usize]).collect()
}

/// Writes `images`, cropped, flipped and cut out as `placements` says (one for each; `None` = as they are), to `out`,
/// `[image, row, column, padded channel]`. Values are those of `table`, exactly; crop padding is its value of byte 0;
/// cutouts and padding channels are 0.
///
/// # Panics
/// If the set has no such image, a cutout lies outside it, or the lengths of `images`, `placements` and `out` or the channels
/// of `table` do not fit.
pub fn gather<T: Real>(
    dataset: &Dataset,
    table: &PixelTable,
    images: &[u32],
    placements: Option<&[Placement]>,
    out: &mut [T],
) {
    let shape = dataset.shape();
    assert_eq!(table.channels(), shape.channels, "channels of the pixel table");
    assert_eq!(out.len(), images.len() * image_length(shape), "numbers of the mini-batch");
    assert!(placements.is_none_or(|placements| placements.len() == images.len()), "one placement an image");
    let write_image = match shape.channels {
        1 => place_image::<T, 1>,
        3 => place_image::<T, 3>,
        _ => place_image::<T, ANY>,
    };
    out.par_chunks_exact_mut(image_length(shape)).with_min_len(IMAGES_PER_TASK).zip(images).enumerate().for_each(
        |(position, (out, &image))| {
            let placement = placements.map_or_else(Placement::default, |placements| placements[position]);
            write_image(dataset.image(image), shape, table, placement, out);
            cut_out(placement.cutout, shape, out);
        },
    );
}

/// Stands for a channel count that is only known at run time.
const ANY: usize = 0;

/// One image; `CHANNELS` is its channel count, or [`ANY`].
fn place_image<T: Real, const CHANNELS: usize>(
    image: &[u8],
    shape: Shape,
    table: &PixelTable,
    placement: Placement,
    out: &mut [T],
) {
    let channels = if CHANNELS == ANY { shape.channels } else { CHANNELS };
    let padded = channels.next_multiple_of(IMAGE_CHANNEL_MULTIPLE);
    let (height, width) = (shape.height, shape.width);
    let write_pixel = |out: &mut [T], bytes: Option<&[u8]>| {
        for channel in 0..channels {
            let byte = bytes.map_or(0, |bytes| bytes[channel]);
            out[channel] = T::from_f64(f64::from(table.channel(channel)[usize::from(byte)]));
        }
        out[channels..].fill(T::default());
    };

    // The part of the cropped, not yet flipped image that lies inside the stored one.
    let rows = inside(placement.dy, height);
    let columns = inside(placement.dx, width);
    let source_column = columns.start.saturating_add_signed(placement.dx as isize);
    let written = if placement.flip { width - columns.end..width - columns.start } else { columns.clone() };

    for (y, out) in out.chunks_exact_mut(width * padded).enumerate() {
        if columns.is_empty() || !rows.contains(&y) {
            out.chunks_exact_mut(padded).for_each(|pixel| write_pixel(pixel, None));
            continue;
        }
        let source_row = y.saturating_add_signed(placement.dy as isize);
        let source = &image[(source_row * width + source_column) * channels..][..columns.len() * channels];
        let source = source.chunks_exact(channels).map(Some);
        let (before, rest) = out.split_at_mut(written.start * padded);
        let (pixels, after) = rest.split_at_mut(written.len() * padded);
        before
            .chunks_exact_mut(padded)
            .chain(after.chunks_exact_mut(padded))
            .for_each(|pixel| write_pixel(pixel, None));
        let pixels = pixels.chunks_exact_mut(padded);
        if placement.flip {
            pixels.rev().zip(source).for_each(|(pixel, bytes)| write_pixel(pixel, bytes));
        } else {
            pixels.zip(source).for_each(|(pixel, bytes)| write_pixel(pixel, bytes));
        }
    }
}

/// Zeros the pixels of `cutout` in one gathered image.
fn cut_out<T: Real>(cutout: Rectangle, shape: Shape, out: &mut [T]) {
    let padded = image_length(shape) / shape.pixels();
    for row in usize::from(cutout.top)..usize::from(cutout.bottom) {
        let pixels = row * shape.width + usize::from(cutout.left)..row * shape.width + usize::from(cutout.right);
        out[pixels.start * padded..pixels.end * padded].fill(T::default());
    }
}

/// The positions p of `0..extent` for which `p + offset` lies in `0..extent` too.
fn inside(offset: i32, extent: usize) -> Range<usize> {
    let distance = offset.unsigned_abs() as usize;
    if offset < 0 { distance.min(extent)..extent } else { 0..extent.saturating_sub(distance) }
}
