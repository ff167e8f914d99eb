//! The matrix of interference as pictures.

use crate::report::{HeatMap, heat_maps};
use crate::study::{Interference, Measure};
use std::path::{Path, PathBuf};

/// Draws the matrix under one regime as it is, and less the step with gradient zero: each a picture of the loss and the accuracy,
/// side by side. `stem` names the measurement in the files' names, `names` the children.
pub fn draw(
    folder: &Path,
    stem: &str,
    interference: &Interference,
    norm: usize,
    names: &[String],
) -> anyhow::Result<[PathBuf; 2]> {
    let (regime, _, _) = &interference.norms[norm];
    let path = |kind: &str| folder.join(format!("interference-{stem}-{}{kind}.svg", regime.name()));
    let paths = [path(""), path("-beyond-zero")];
    let whole = whole(interference, norm, names);
    let beyond = whole.clone().map(|map| HeatMap {
        row_labels: names.to_vec(),
        subtitle: format!("{}, less the step with gradient zero", map.subtitle),
        last_row_apart: false,
        ..map
    });
    let [loss, accuracy] = beyond;
    let beyond = [
        HeatMap {
            title: "Interference beyond momentum and weight decay: loss".to_owned(),
            values: interference.changes_beyond_zero(norm, Measure::Loss),
            ..loss
        },
        HeatMap {
            title: "Change of the accuracy beyond the same".to_owned(),
            values: points(interference.changes_beyond_zero(norm, Measure::Accuracy)),
            ..accuracy
        },
    ];
    heat_maps(&paths[0], &whole)?;
    heat_maps(&paths[1], &beyond)?;
    Ok(paths)
}

/// Loss and accuracy, with the step with gradient zero as last row.
fn whole(interference: &Interference, norm: usize, names: &[String]) -> [HeatMap; 2] {
    let (regime, evaluated, _) = &interference.norms[norm];
    let images = evaluated.first().map_or(0, |child| child.images);
    let loss = HeatMap {
        title: "Interference: change of the loss after one step".to_owned(),
        subtitle: format!(
            "step {}, learning rate {:.3e}, mini-batch {}",
            interference.step, interference.learning_rate, interference.mini_batch
        ),
        row_axis: "child that stepped".to_owned(),
        column_axis: "evaluated child".to_owned(),
        row_labels: names.iter().cloned().chain(["zero gradient".to_owned()]).collect(),
        column_labels: names.to_vec(),
        values: interference.changes(norm, Measure::Loss),
        value_label: "loss (nats an image)".to_owned(),
        last_row_apart: true,
        ..HeatMap::default()
    };
    let accuracy = HeatMap {
        title: "Change of the accuracy after the same step".to_owned(),
        subtitle: format!("{} statistics, {images} evaluation images", regime.name()),
        values: points(interference.changes(norm, Measure::Accuracy)),
        value_label: "accuracy (percentage points)".to_owned(),
        ..loss.clone()
    };
    [loss, accuracy]
}

/// Fractions in percentage points.
fn points(mut changes: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    changes.iter_mut().flatten().for_each(|change| *change *= 100.0);
    changes
}
