//! What every child has: residual blocks and the head.

use super::{Builder, Feature, NetworkError, Site, previous};
use crate::network::{Block, Head, Layout, Place, Role};
use crate::space::{self, Residual};

impl Builder<'_> {
    pub(super) fn residual(
        &mut self,
        residual: &Residual,
        block: &space::Block,
        channels: usize,
        outputs: &[Feature],
    ) -> Result<(Block, Feature), NetworkError> {
        let missing = || self.missing("normalization", "normalization.residual");
        let site = Site {
            prefix: String::new(),
            names: vec![("cell", block.index)],
            place: Place::Cell(block.index),
            channels,
            edge_stride: 1,
            normalization: self.space.normalization.residual.ok_or_else(missing)?,
            choice: None,
            label: block.name,
        };
        let mut branches = Vec::new();
        let mut features = Vec::new();
        for specs in &residual.branches {
            let (layers, feature) = self.layers(specs, &site, previous(outputs, 1).clone())?;
            branches.push(layers);
            features.push(feature);
        }
        let output = self.sum(block.name, &features)?;
        Ok((Block::Residual { branches }, output))
    }

    pub(super) fn head(&mut self, feature: &Feature, classes: usize) -> Head {
        let space = self.space;
        let site = Site {
            prefix: String::new(),
            names: Vec::new(),
            place: Place::Head,
            channels: feature.segments.logical(),
            edge_stride: 1,
            normalization: space.normalization.head.unwrap_or(space.normalization.stem),
            choice: None,
            label: "the head",
        };
        let norm = space.head.norm.as_ref().map(|name| {
            let rule = site.normalization;
            self.norm(name.clone(), &feature.segments, rule, None, &site)
        });
        let fan_in = feature.segments.logical();
        let layout = Layout::Linear { outputs: classes, inputs: feature.segments.clone() };
        let classifier = &space.head.classifier;
        let weight = self.parameter(format!("{classifier}.weight"), Role::Weight { fan_in }, layout, &site);
        let bias = self.parameter(format!("{classifier}.bias"), Role::Bias { fan_in }, Layout::Plain(classes), &site);
        Head { norm, relu: space.head.relu, weight, bias }
    }
}
