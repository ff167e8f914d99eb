//! Which blocks the skeleton names, and whether each can take what comes before it.

use super::super::error::Problem;
use super::super::layer::channel_multiple;
use super::super::model::{Arrangement, Cell, Space};
use super::{Checked, Fault, list, require};

pub(super) fn check(space: &Space) -> Checked {
    let skeleton = &space.skeleton;
    let Some(cell) = space.cells.get(&skeleton.cell) else {
        let problem = Problem::NoSuchCell { name: skeleton.cell.clone(), known: list(space.cells.keys()) };
        return Err(Fault { place: "skeleton.cell".to_owned(), problem });
    };
    let name = &skeleton.cell;
    require(!cell.reduces, || "skeleton.cell", || Problem::RepeatedCellReduces { name: name.clone() })?;
    check_reduction(space)?;
    for name in space.residuals.keys() {
        let place = || format!("residuals.{name}");
        require(!space.cells.contains_key(name), place, || Problem::BlockNameTwice)?;
        require(skeleton.reduction.as_ref() == Some(name), place, || Problem::BlockUnused)?;
    }
    for (name, cell) in &space.cells {
        let used = *name == skeleton.cell || skeleton.reduction.as_ref() == Some(name);
        require(used, || format!("cells.{name}"), || Problem::BlockUnused)?;
        check_inputs(space, name, cell)?;
    }
    Ok(())
}

fn check_reduction(space: &Space) -> Checked {
    let place = || "skeleton.reduction";
    let known = || {
        list(space.cells.iter().filter(|(_, cell)| cell.reduces).map(|(name, _)| name).chain(space.residuals.keys()))
    };
    match (&space.skeleton.reduction, space.skeleton.arrangement) {
        (None, Arrangement::Uniform) => Ok(()),
        (Some(_), Arrangement::Uniform) => require(false, place, || Problem::ReductionUnused),
        (None, _) => require(false, place, || Problem::ReductionMissing { known: known() }),
        (Some(name), _) => match space.cells.get(name) {
            Some(cell) => require(cell.reduces, place, || Problem::ReductionKeepsSize { name: name.clone() }),
            None => require(space.residuals.contains_key(name), place, || Problem::NoSuchReduction {
                name: name.clone(),
                known: known(),
            }),
        },
    }
}

/// An input without layers must come in with C channels; one from two blocks before may come in twice as large.
fn check_inputs(space: &Space, name: &str, cell: &Cell) -> Checked {
    let reductions = space.skeleton.arrangement != Arrangement::Uniform;
    for (index, input) in cell.inputs.iter().enumerate() {
        let place = || format!("cells.{name}.inputs[{index}]");
        let after_reduction = reductions && input.previous == 2;
        let given = !input.layers_after_reduction.is_empty();
        require(given || !after_reduction, place, || Problem::AfterReductionMissing)?;
        require(after_reduction || !given, place, || Problem::AfterReductionUnused)?;
        if input.layers.is_empty() {
            check_plain_input(space, cell).map_err(|problem| Fault { place: place(), problem })?;
        }
    }
    Ok(())
}

fn check_plain_input(space: &Space, cell: &Cell) -> Result<(), Problem> {
    let refuse = |producer: String, found: String| Err(Problem::InputChannels { producer, found });
    if cell.reduces {
        return refuse("the block before".to_owned(), "half as many in a cell that reduces".to_owned());
    }
    let stem = ("stem".to_owned(), channel_multiple(&space.stem.layers).unwrap_or(1));
    let cells = space.cells.iter().map(|(name, cell)| (format!("cells.{name}"), cell.output_multiple()));
    let residuals = space.residuals.iter().filter_map(|(name, residual)| {
        let multiple = channel_multiple(residual.branches.first()?)?;
        Some((format!("residuals.{name}"), multiple))
    });
    match [stem].into_iter().chain(cells).chain(residuals).find(|&(_, multiple)| multiple != 1) {
        Some((producer, multiple)) => refuse(producer, format!("{multiple} times C")),
        None => Ok(()),
    }
}
