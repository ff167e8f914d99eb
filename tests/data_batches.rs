//! Mini-batches: which images, in which order, where cropped and flipped, as which numbers.

use std::collections::HashSet;

use crosstalk::data::{
    Augmentation, BatchOrder, BatchStream, DataError, Dataset, MiniBatch, PixelTable, Placement, Records, Rectangle,
    Source, Split, SplitRanges, Validation, gather, image_length, labels,
};
use crosstalk::tensor::{Real, Shape};
use proptest::prelude::*;

fn images_of(stream: &mut BatchStream, step: u64) -> Vec<u32> {
    stream.mini_batch(step).unwrap().images
}

#[test]
fn a_shuffled_epoch_shows_every_training_image_once_and_ends_short() {
    let mut stream = BatchStream::new(BatchOrder::Shuffled, 1, 100..1101, 64).unwrap();
    assert_eq!(stream.steps_per_epoch(), 16);
    for epoch in 0..3 {
        let batches: Vec<MiniBatch> = (0..16).map(|step| stream.mini_batch(epoch * 16 + step).unwrap()).collect();
        assert!(batches.iter().all(|batch| batch.epoch == epoch));
        assert!(batches[..15].iter().all(|batch| batch.images.len() == 64));
        assert_eq!(batches[15].images.len(), 1001 - 15 * 64);
        let seen: HashSet<u32> = batches.iter().flat_map(|batch| batch.images.iter().copied()).collect();
        assert_eq!(seen, (100..1101).collect());
    }
    assert_ne!(images_of(&mut stream, 0), images_of(&mut stream, 16));
}

#[test]
fn a_mini_batch_depends_on_its_step_alone_not_on_what_was_asked_before() {
    let stream = || BatchStream::new(BatchOrder::Shuffled, 9, 0..500, 48).unwrap();
    let mut walked = stream();
    let in_order: Vec<Vec<u32>> = (0..40).map(|step| images_of(&mut walked, step)).collect();
    for step in [39, 0, 25, 11, 38] {
        assert_eq!(images_of(&mut stream(), step), in_order[step as usize]);
        assert_eq!(images_of(&mut walked, step), in_order[step as usize]);
    }
    let mut other_seed = BatchStream::new(BatchOrder::Shuffled, 10, 0..500, 48).unwrap();
    assert_ne!(images_of(&mut other_seed, 0), in_order[0]);
}

/// Computed by a separate Python program from the definitions: Philox, Lemire's bounded draw, Fisher-Yates.
#[test]
fn the_first_shuffled_images_of_seed_1_stay_what_they_are() {
    let mut stream = BatchStream::new(BatchOrder::Shuffled, 1, 0..1437, 64).unwrap();
    assert_eq!(images_of(&mut stream, 0)[..6], [420, 288, 1013, 166, 756, 1345]);
}

#[test]
fn file_order_wraps_at_the_end_without_a_short_mini_batch() {
    let mut stream = BatchStream::new(BatchOrder::File, 1, 10..20, 4).unwrap();
    assert_eq!(stream.steps_per_epoch(), 3);
    assert_eq!(images_of(&mut stream, 0), [10, 11, 12, 13]);
    assert_eq!(images_of(&mut stream, 2), [18, 19, 10, 11]);
    assert_eq!(images_of(&mut stream, 3), [12, 13, 14, 15]);
    assert_eq!(stream.mini_batch(3).unwrap().epoch, 1);
    assert_eq!(images_of(&mut stream, u64::MAX).len(), 4);
    let mut larger_than_the_file = BatchStream::new(BatchOrder::File, 1, 0..3, 7).unwrap();
    assert_eq!(images_of(&mut larger_than_the_file, 1), [1, 2, 0, 1, 2, 0, 1]);
}

#[test]
fn an_explicit_list_is_followed_and_says_when_it_ends() {
    let lists = vec![vec![3, 3, 1], vec![0]];
    let mut stream = BatchStream::new(BatchOrder::Explicit(lists), 1, 0..4, 2).unwrap();
    assert_eq!(images_of(&mut stream, 0), [3, 3, 1]);
    assert_eq!(images_of(&mut stream, 1), [0]);
    let error = stream.mini_batch(2).unwrap_err();
    assert!(matches!(error, DataError::ListEnds { steps: 2, step: 2 }), "{error}");
}

#[test]
fn lists_and_sizes_that_make_no_mini_batch_are_refused() {
    let explicit = |lists| BatchStream::new(BatchOrder::Explicit(lists), 1, 5..9, 2).map(drop);
    assert!(matches!(explicit(vec![vec![5], vec![]]), Err(DataError::EmptyListedBatch { step: 1 })));
    assert!(matches!(explicit(vec![vec![5, 9]]), Err(DataError::ListedImage { step: 0, image: 9, first: 5, last: 8 })));
    assert!(matches!(BatchStream::new(BatchOrder::File, 1, 0..4, 0), Err(DataError::EmptyBatch)));
    assert!(matches!(BatchStream::new(BatchOrder::File, 1, 4..4, 1), Err(DataError::NoTrainingImages)));
}

/// The size of CIFAR-10's images.
const IMAGE: Shape = Shape::new(32, 32, 3);

#[test]
fn crops_flips_and_cutouts_depend_on_seed_step_and_position_alone() {
    let augmentation = Augmentation { crop_padding: 4, flip: true, cutout: 16 };
    let drawn = augmentation.draw(1, 7, IMAGE, 256);
    assert_eq!(drawn[..80], augmentation.draw(1, 7, IMAGE, 80));
    assert_ne!(drawn, augmentation.draw(2, 7, IMAGE, 256));
    assert_ne!(drawn, augmentation.draw(1, 8, IMAGE, 256));
    let without_cutout = Augmentation { cutout: 0, ..augmentation }.draw(1, 7, IMAGE, 256);
    assert!(without_cutout.iter().zip(&drawn).all(|(a, b)| *a == Placement { cutout: Rectangle::default(), ..*b }));
    let cutout_only = Augmentation { cutout: 16, ..Augmentation::default() }.draw(1, 7, IMAGE, 256);
    assert!(cutout_only.iter().zip(&drawn).all(|(a, b)| *a == Placement { cutout: b.cutout, ..Placement::default() }));
    let flips_only = Augmentation { flip: true, ..Augmentation::default() }.draw(1, 7, IMAGE, 256);
    assert!(flips_only.iter().zip(&drawn).all(|(a, b)| a.flip == b.flip && (a.dy, a.dx) == (0, 0)));
    assert!(Augmentation::default().is_off() && !augmentation.is_off());
    assert_eq!(Augmentation::default().draw(1, 7, IMAGE, 2), [Placement::default(); 2]);
}

#[test]
fn every_offset_and_both_directions_are_drawn_evenly() {
    let augmentation = Augmentation { crop_padding: 2, flip: true, cutout: 0 };
    let drawn: Vec<Placement> = (0..100).flat_map(|step| augmentation.draw(3, step, IMAGE, 250)).collect();
    for offset in -2..=2 {
        // 5,000 of 25,000 expected, standard deviation 63.
        assert!(drawn.iter().filter(|placement| placement.dy == offset).count().abs_diff(5000) < 320);
        assert!(drawn.iter().filter(|placement| placement.dx == offset).count().abs_diff(5000) < 320);
    }
    assert!(drawn.iter().filter(|placement| placement.flip).count().abs_diff(12_500) < 400);
    let equal = drawn.iter().filter(|placement| placement.dy == placement.dx).count();
    assert!(equal.abs_diff(5000) < 320, "rows and columns are not independent: {equal}");
}

/// DARTS: `y = randint(h)`, rows `clip(y - length // 2, 0, h)` to `clip(y + length // 2, 0, h)`, and columns likewise.
#[test]
fn every_pixel_is_the_center_of_a_cutout_equally_often_and_borders_clip_it() {
    let image = Shape::new(5, 4, 1);
    let augmentation = Augmentation { cutout: 4, ..Augmentation::default() };
    let drawn = (0..100).flat_map(|step| augmentation.draw(3, step, image, 250));
    let mut counts = std::collections::BTreeMap::new();
    for placement in drawn {
        let Rectangle { top, bottom, left, right } = placement.cutout;
        *counts.entry([top, bottom, left, right]).or_insert(0u32) += 1;
    }
    let clipped = |y: u16, x: u16| [y.saturating_sub(2), (y + 2).min(5), x.saturating_sub(2), (x + 2).min(4)];
    let squares: Vec<_> = (0..5).flat_map(|y| (0..4).map(move |x| clipped(y, x))).collect();
    assert_eq!(counts.values().sum::<u32>(), 25_000);
    for (square, count) in counts {
        // 1,250 of 25,000 expected for each center, standard deviation 34 for one and 49 for two that clip to the same.
        let centers = squares.iter().filter(|other| **other == square).count() as u32;
        assert!(centers > 0 && count.abs_diff(1250 * centers) < 250, "{square:?}: {count} of {centers} center(s)");
    }
}

#[test]
fn an_odd_cutout_reaches_as_far_on_both_sides_of_its_center() {
    let augmentation = Augmentation { cutout: 3, ..Augmentation::default() };
    let drawn = augmentation.draw(3, 0, IMAGE, 500);
    let inside = drawn.iter().map(|placement| placement.cutout).filter(|cutout| cutout.top > 0 && cutout.bottom < 32);
    assert!(inside.clone().count() > 400 && inside.clone().all(|cutout| cutout.bottom - cutout.top == 3));
}

#[test]
fn a_cutout_larger_than_the_image_is_refused() {
    let check = |cutout| Augmentation { cutout, ..Augmentation::default() }.check(Shape::new(8, 9, 1));
    assert!(check(0).is_ok() && check(8).is_ok());
    assert!(matches!(check(9), Err(DataError::Cutout { side: 9, height: 8, width: 9 })));
}

#[test]
fn a_padding_as_large_as_the_image_is_refused() {
    let check = |crop_padding| Augmentation { crop_padding, ..Augmentation::default() }.check(Shape::new(8, 9, 1));
    assert!(check(0).is_ok() && check(7).is_ok());
    assert!(matches!(check(8), Err(DataError::CropPadding { padding: 8, height: 8, width: 9 })));
}

/// A set whose bytes all differ from their neighbours.
fn small_set(shape: Shape, count: usize) -> Dataset {
    let bytes = count * shape.pixels() * shape.channels;
    let images = (0..bytes).map(|i| (i * 37 + i / 251) as u8).collect();
    let labels = (0..count).map(|i| (i % 3) as u8).collect();
    Dataset::from_records("small", shape, 3, Records { images, labels }, None).unwrap()
}

fn table_for(channels: usize) -> PixelTable {
    let mean: Vec<f64> = (0..channels).map(|channel| 0.4 + 0.03 * channel as f64).collect();
    let std: Vec<f64> = (0..channels).map(|channel| 0.2 + 0.05 * channel as f64).collect();
    PixelTable::new(&mean, &std).unwrap()
}

/// Pads, crops, flips, normalizes and cuts out in so many steps, one value at a time.
fn literal(set: &Dataset, table: &PixelTable, image: u32, placement: Placement, padding: usize) -> Vec<f32> {
    let Shape { height, width, channels } = set.shape();
    let (padded_height, padded_width) = (height + 2 * padding, width + 2 * padding);
    let mut padded = vec![0u8; padded_height * padded_width * channels];
    for y in 0..height {
        for x in 0..width {
            for c in 0..channels {
                padded[((y + padding) * padded_width + x + padding) * channels + c] =
                    set.image(image)[(y * width + x) * channels + c];
            }
        }
    }
    let (top, left) = ((padding as i32 + placement.dy) as usize, (padding as i32 + placement.dx) as usize);
    let mut values = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let column = if placement.flip { width - 1 - x } else { x };
            let Rectangle { top: first_row, bottom, left: first_column, right } = placement.cutout;
            let is_cut = (first_row..bottom).contains(&(y as u16)) && (first_column..right).contains(&(x as u16));
            for c in 0..channels.next_multiple_of(4) {
                values.push(if c < channels && !is_cut {
                    let byte = padded[((top + y) * padded_width + left + column) * channels + c];
                    table.channel(c)[usize::from(byte)]
                } else {
                    0.0
                });
            }
        }
    }
    values
}

fn gathered<T: Real>(set: &Dataset, table: &PixelTable, images: &[u32], placements: Option<&[Placement]>) -> Vec<T> {
    // Filled with what must not stay: a planned buffer is reused.
    let mut out = vec![T::from_f64(-77.0); images.len() * image_length(set.shape())];
    gather(set, table, images, placements, &mut out);
    out
}

proptest! {
    #[test]
    fn gathering_crops_flips_cuts_out_and_pads_like_the_literal_steps(
        height in 1usize..9, width in 1usize..9, channels in 1usize..6, padding in 0usize..12, cutout in 0u16..9, seed: u64,
    ) {
        let set = small_set(Shape::new(height, width, channels), 5);
        let table = table_for(channels);
        let images = [4, 0, 2, 2];
        let augmentation = Augmentation { crop_padding: padding as u16, flip: true, cutout };
        let placements = augmentation.draw(seed, 3, set.shape(), images.len());
        let expected: Vec<f32> = images.iter().zip(&placements)
            .flat_map(|(&image, &placement)| literal(&set, &table, image, placement, padding)).collect();
        prop_assert_eq!(gathered::<f32>(&set, &table, &images, Some(&placements)), expected.clone());
        let exact: Vec<f64> = expected.into_iter().map(f64::from).collect();
        prop_assert_eq!(gathered::<f64>(&set, &table, &images, Some(&placements)), exact);
    }
}

#[test]
fn without_placements_images_come_as_they_are() {
    let set = small_set(Shape::new(4, 5, 3), 40);
    let table = table_for(3);
    let images: Vec<u32> = (0..40).rev().collect();
    let expected: Vec<f32> =
        images.iter().flat_map(|&image| literal(&set, &table, image, Placement::default(), 0)).collect();
    assert_eq!(gathered::<f32>(&set, &table, &images, None), expected);
    assert_eq!(labels(&set, &[3, 1, 1]), [0, 1, 1]);
}

#[test]
fn crop_padding_is_a_normalized_black_pixel_not_zero() {
    let set = small_set(Shape::new(2, 2, 1), 1);
    let table = table_for(1);
    let away = Placement { dy: 5, dx: -5, ..Placement::default() };
    let values = gathered::<f32>(&set, &table, &[0], Some(&[away]));
    assert!(values.chunks(4).all(|pixel| pixel == [table.channel(0)[0], 0.0, 0.0, 0.0]));
    assert_ne!(table.channel(0)[0], 0.0);
}

fn two_file_set() -> Dataset {
    let records = |count: usize| Records { images: vec![1; count], labels: vec![0; count] };
    Dataset::from_records("two", Shape::new(1, 1, 1), 1, records(95), Some(records(20))).unwrap()
}

#[test]
fn splits_hold_out_the_last_tenth_or_take_the_test_file() {
    let set = two_file_set();
    let ranges = |text: &str| toml::from_str::<Split>(text).unwrap().ranges(&set).unwrap();
    assert_eq!(ranges(""), SplitRanges { training: 0..86, evaluation: 86..95 });
    assert_eq!(ranges("validation = \"test\""), SplitRanges { training: 0..95, evaluation: 95..115 });
    let limited = "validation = \"test\"\ntrain_images = 30\nevaluation_images = 5";
    assert_eq!(ranges(limited), SplitRanges { training: 0..30, evaluation: 95..100 });
    let digits = Source::Digits.load().unwrap();
    let expected = SplitRanges { training: 0..1437, evaluation: 1437..1797 };
    assert_eq!(Split::default().ranges(&digits).unwrap(), expected);
}

#[test]
fn splits_that_the_files_cannot_give_are_refused() {
    let split = Split { validation: Validation::Test, ..Split::default() };
    assert!(matches!(split.ranges(&Source::Digits.load().unwrap()), Err(DataError::NoTestFile { .. })));
    for (train_images, available) in [(0, 86), (87, 86), (usize::MAX, 86)] {
        let split = Split { train_images: Some(train_images), ..Split::default() };
        let error = split.ranges(&two_file_set()).unwrap_err();
        assert!(
            matches!(&error, DataError::Limit { key: "train_images", available: a, .. } if *a == available),
            "{error}"
        );
    }
    let one = small_set(Shape::new(1, 1, 1), 1);
    assert!(matches!(Split::default().ranges(&one), Err(DataError::NothingToHoldOut { images: 1, .. })));
}

#[test]
fn unknown_keys_and_names_in_configurations_are_errors_that_name_them() {
    let message = toml::from_str::<Split>("train_image = 5").unwrap_err().to_string();
    assert!(message.contains("train_image") && message.contains("train_images"), "{message}");
    assert!(toml::from_str::<Split>("validation = \"tests\"").is_err());
    assert!(toml::from_str::<Augmentation>("cut_out = 16").is_err());
    assert!(toml::from_str::<Augmentation>("crop_padding = -1").is_err());
}

#[test]
fn configurations_survive_being_written_and_read() {
    let split = Split { validation: Validation::Test, train_images: Some(9), evaluation_images: None };
    assert_eq!(toml::from_str::<Split>(&toml::to_string(&split).unwrap()).unwrap(), split);
    let augmentation = Augmentation { crop_padding: 4, flip: true, cutout: 16 };
    assert_eq!(toml::from_str::<Augmentation>(&toml::to_string(&augmentation).unwrap()).unwrap(), augmentation);
}
