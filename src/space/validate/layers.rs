//! Layers by place: stem, candidates, residual blocks.

use super::super::error::Problem;
use super::super::layer::{channel_multiple, total_stride};
use super::super::model::{Candidate, Layer, Space};
use super::super::template::{self, BLOCK_VARIABLES};
use super::{Checked, Fault, is_word, require};
use crate::ops::LayerWindow;

/// Largest kernel, dilation, stride and channel multiple that a file may ask for.
const LARGEST: usize = 1024;

pub(super) fn check_stem(space: &Space) -> Checked {
    let layers = &space.stem.layers;
    check_fixed(layers, "stem.layers", &[])?;
    require(channel_multiple(layers).is_some(), || "stem.layers", || Problem::ChannelsUnknown)
}

pub(super) fn check_candidates(space: &Space) -> Checked {
    for (name, candidate) in &space.candidates {
        let place = format!("candidates.{name}");
        require(is_word(name), || &place, || Problem::Word { name: name.clone() })?;
        let (layers, place) = match candidate {
            Candidate::Zero => continue,
            Candidate::Identity { reduction } => {
                let stride = total_stride(reduction, 2);
                let place = format!("{place}.reduction");
                let fits = reduction.is_empty() || stride == 2;
                require(fits, || &place, || Problem::Stride { found: stride, needed: 2 })?;
                (reduction, place)
            }
            Candidate::Layers { layers } => {
                let place = format!("{place}.layers");
                require(!layers.is_empty(), || &place, || Problem::NoLayers)?;
                (layers, place)
            }
        };
        for (index, layer) in layers.iter().enumerate() {
            check_layer(layer, &format!("{place}[{index}]"), &[])?;
        }
        if let Some(found) = channel_multiple(layers) {
            require(found == 1, || &place, || Problem::Channels { found })?;
        }
    }
    Ok(())
}

pub(super) fn check_residuals(space: &Space) -> Checked {
    for (name, residual) in &space.residuals {
        let place = format!("residuals.{name}");
        require(is_word(name), || &place, || Problem::Word { name: name.clone() })?;
        require(!residual.branches.is_empty(), || format!("{place}.branches"), || Problem::NoLayers)?;
        let mut first = None;
        for (index, branch) in residual.branches.iter().enumerate() {
            let place = format!("{place}.branches[{index}]");
            check_fixed(branch, &place, BLOCK_VARIABLES)?;
            check_stride(branch, &place, 2)?;
            let Some(found) = channel_multiple(branch) else {
                return Err(Fault { place, problem: Problem::ChannelsUnknown });
            };
            let first = *first.get_or_insert(found);
            require(found == first, || &place, || Problem::BranchChannels { first, found })?;
        }
    }
    Ok(())
}

/// Layers that stand on no edge: at least one, none with the stride of an edge.
pub(super) fn check_fixed(layers: &[Layer], place: &str, variables: &[&str]) -> Checked {
    require(!layers.is_empty(), || place, || Problem::NoLayers)?;
    for (index, layer) in layers.iter().enumerate() {
        let place = format!("{place}[{index}]");
        require(!layer.edge_stride, || &place, || Problem::EdgeStrideWithoutEdge)?;
        check_layer(layer, &place, variables)?;
    }
    Ok(())
}

pub(super) fn check_stride(layers: &[Layer], place: &str, needed: usize) -> Checked {
    let found = total_stride(layers, 1);
    require(found == needed, || place, || Problem::Stride { found, needed })
}

fn check_layer(layer: &Layer, place: &str, variables: &[&str]) -> Checked {
    let at = || place;
    let sizes = [
        ("kernel", layer.kernel),
        ("dilation", layer.dilation),
        ("stride", layer.stride),
        ("channels", layer.channels),
    ];
    for (key, size) in sizes {
        super::number(size, 1, LARGEST, || format!("{place}.{key}"))?;
    }
    require(!(layer.edge_stride && layer.stride != 1), at, || Problem::TwoStrides)?;
    let (kind, kernel) = (layer.operation, layer.kernel);
    let operation = kind.title;
    let tiles = kernel == layer.stride && layer.dilation == 1 && !layer.edge_stride;
    let tiles = tiles && kind.window == LayerWindow::OddOrTiles;
    require(!kernel.is_multiple_of(2) || tiles, || format!("{place}.kernel"), || Problem::EvenKernel { kernel })?;
    if let LayerWindow::Fixed { stride } = kind.window {
        let plain = kernel == 1 && layer.dilation == 1 && layer.stride == 1 && !layer.edge_stride;
        require(plain, at, || Problem::FixedWindow { operation, stride })?;
    }
    let fits = !kind.keeps_channels || layer.channels == 1;
    require(fits, || format!("{place}.channels"), || Problem::KeptChannels { operation })?;
    let (found, needed) = (layer.weights.len(), kind.weights);
    let names = || Problem::WeightNames { found, operation, needed };
    require(found == needed, || format!("{place}.weights"), names)?;
    for name in layer.weights.iter().chain(&layer.norm) {
        template::check(name, variables).map_err(|problem| Fault { place: place.to_owned(), problem })?;
    }
    Ok(())
}
