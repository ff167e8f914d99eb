//! Layers: from the file's specification to an operation with shapes, and its parameters.

use super::{Builder, Feature, NetworkError, Site};
use crate::network::Parameter;
use crate::network::{Layer, Layout, Norm, NormId, ParameterId, Role, Segments};
use crate::ops::{self, Window};
use crate::space::{self, Normalization, expand};

impl Builder<'_> {
    pub(super) fn parameter(&mut self, name: String, role: Role, layout: Layout, site: &Site) -> ParameterId {
        self.parameters.push(Parameter { name, role, place: site.place, layout, choice: site.choice });
        self.parameters.len() - 1
    }

    fn name(&self, site: &Site, name: &str) -> String {
        let full = if site.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", site.prefix) };
        expand(&full, &site.names)
    }

    pub(super) fn norm(
        &mut self,
        name: String,
        channels: &Segments,
        rule: Normalization,
        bias: Option<ParameterId>,
        site: &Site,
    ) -> NormId {
        let layout = || Layout::Channels(channels.clone());
        let mut pair = |roles: [(&str, Role); 2]| {
            roles.map(|(suffix, role)| self.parameter(format!("{name}.{suffix}"), role, layout(), site))
        };
        let affine = rule.affine.then(|| pair([("weight", Role::Scale), ("bias", Role::Shift)]));
        let running =
            rule.tracked.then(|| pair([("running_mean", Role::RunningMean), ("running_var", Role::RunningVariance)]));
        self.norms.push(Norm {
            name,
            channels: channels.logical(),
            epsilon: rule.epsilon,
            momentum: rule.momentum,
            affine,
            running,
            bias,
        });
        self.norms.len() - 1
    }

    pub(super) fn layers(
        &mut self,
        specs: &[space::Layer],
        site: &Site,
        mut feature: Feature,
    ) -> Result<(Vec<Layer>, Feature), NetworkError> {
        let mut layers = Vec::with_capacity(specs.len());
        for spec in specs {
            let (layer, next) = self.layer(spec, site, &feature)?;
            layers.push(layer);
            feature = next;
        }
        Ok((layers, feature))
    }

    fn layer(&mut self, spec: &space::Layer, site: &Site, feature: &Feature) -> Result<(Layer, Feature), NetworkError> {
        let stride = spec.stride_on(site.edge_stride);
        let window = Window { kernel: spec.kernel, stride, dilation: spec.dilation, padding: spec.padding() };
        let input = feature.shape();
        let extent = spec.dilation * (spec.kernel - 1) + 1;
        if input.height.min(input.width) + 2 * window.padding < extent {
            let (space, place) = (self.space.name.clone(), site.label.to_owned());
            return Err(NetworkError::TooSmall { space, place, shape: input });
        }
        let kind = spec.operation;
        let outputs = if kind.keeps_channels { input.channels } else { spec.channels * site.channels };
        let operation = (kind.build)(&ops::Place { window, input, outputs }).map_err(|problem| {
            let (space, place) = (self.space.name.clone(), site.label.to_owned());
            NetworkError::Unfit { space, operation: kind.title, place, problem }
        })?;
        let names: Vec<String> = spec.weights.iter().map(|name| self.name(site, name)).collect();
        let layouts: Vec<Layout> = (operation.linear().weights().iter())
            .map(|shape| Layout::of_weight(shape, feature.segments.clone()))
            .collect();
        let fan_in = layouts.last().map_or(0, Layout::fan_in);
        let weights = (names.iter().zip(layouts))
            .map(|(name, layout)| {
                let role = Role::Weight { fan_in: layout.fan_in() };
                self.parameter(format!("{name}.weight"), role, layout, site)
            })
            .collect();
        let has_bias = kind.takes_bias && self.space.convolution_bias && site.choice.is_some() && spec.norm.is_some();
        let bias = names.last().filter(|_| has_bias).map(|name| {
            let layout = Layout::Channels(Segments::features(vec![outputs]));
            self.parameter(format!("{name}.bias"), Role::Bias { fan_in }, layout, site)
        });
        let output = operation.output();
        let next = Feature {
            height: output.height,
            width: output.width,
            segments: match kind.keeps_channels {
                true => feature.segments.clone(),
                false => Segments::features(vec![output.channels]),
            },
        };
        let norm = spec.norm.as_ref().map(|name| {
            let name = self.name(site, name);
            self.norm(name, &next.segments, site.normalization, bias, site)
        });
        let name = match (names.last(), norm) {
            (Some(name), _) => name.clone(),
            (None, Some(norm)) => self.norms[norm].name.clone(),
            (None, None) => expand(&site.prefix, &site.names),
        };
        Ok((Layer { name, relu: spec.relu, operation, weights, norm }, next))
    }
}
