//! Layers: from the file's specification to an operation with shapes, and its parameters.

use super::{Builder, Feature, NetworkError, Site};
use crate::network::Parameter;
use crate::network::{Layer, Layout, Norm, NormId, ParameterId, Role, Segments};
use crate::ops::{Convolution, DepthwiseSeparable, FactorizedReduce, Operation, Pool, PoolKind, Window};
use crate::space::{self, LayerOperation, Normalization, expand};
use crate::tensor::Shape;

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
        let outputs = spec.channels * site.channels;
        let weight_names: Vec<String> = spec.weights.iter().map(|name| self.name(site, name)).collect();
        let weight_name = |index: usize| format!("{}.weight", weight_names[index]);
        let inputs = feature.segments.clone();
        let mut weights = Vec::new();
        let mut bias = None;
        let operation = match spec.operation {
            LayerOperation::Convolution => {
                let layout = Layout::Convolution { outputs, inputs, kernel: spec.kernel };
                let fan_in = input.channels * window.taps();
                weights.push(self.parameter(weight_name(0), Role::Weight { fan_in }, layout, site));
                if self.space.convolution_bias && site.choice.is_some() && spec.norm.is_some() {
                    let layout = Layout::Channels(Segments::features(vec![outputs]));
                    let name = format!("{}.bias", weight_names[0]);
                    bias = Some(self.parameter(name, Role::Bias { fan_in }, layout, site));
                }
                Operation::Convolution(Convolution { window, input, output: window.output_shape(input, outputs) })
            }
            LayerOperation::DepthwiseSeparable => {
                let depthwise = Layout::Depthwise { channels: inputs.clone(), kernel: spec.kernel };
                let pointwise = Layout::Convolution { outputs, inputs, kernel: 1 };
                let role = Role::Weight { fan_in: window.taps() };
                weights.push(self.parameter(weight_name(0), role, depthwise, site));
                let role = Role::Weight { fan_in: input.channels };
                weights.push(self.parameter(weight_name(1), role, pointwise, site));
                let output = window.output_shape(input, outputs);
                Operation::DepthwiseSeparable(DepthwiseSeparable { window, input, output })
            }
            LayerOperation::MaxPool | LayerOperation::AveragePool => {
                let max = matches!(spec.operation, LayerOperation::MaxPool);
                let kind = if max { PoolKind::Max } else { PoolKind::Average };
                Operation::Pool(Pool { kind, window, input, output: window.output_shape(input, input.channels) })
            }
            LayerOperation::FactorizedReduce => {
                let output = self.halved(site, input, outputs)?;
                let half = outputs / 2;
                for (index, outputs) in [0..half, half..outputs].into_iter().enumerate() {
                    let layout = Layout::Columns { outputs, channels: output.channels, inputs: inputs.clone() };
                    let role = Role::Weight { fan_in: input.channels };
                    weights.push(self.parameter(weight_name(index), role, layout, site));
                }
                Operation::FactorizedReduce(FactorizedReduce { input, output })
            }
        };
        let output = operation.output();
        let next = Feature {
            height: output.height,
            width: output.width,
            segments: match spec.operation.keeps_channels() {
                true => feature.segments.clone(),
                false => Segments::features(vec![output.channels]),
            },
        };
        let norm = spec.norm.as_ref().map(|name| {
            let name = self.name(site, name);
            self.norm(name, &next.segments, site.normalization, bias, site)
        });
        let name = match (weight_names.last(), norm) {
            (Some(name), _) => name.clone(),
            (None, Some(norm)) => self.norms[norm].name.clone(),
            (None, None) => expand(&site.prefix, &site.names),
        };
        Ok((Layer { name, relu: spec.relu, operation, weights, norm }, next))
    }

    /// What a factorized reduction makes of `input`.
    fn halved(&self, site: &Site, input: Shape, channels: usize) -> Result<Shape, NetworkError> {
        let (space, place) = (self.space.name.clone(), site.label.to_owned());
        if !input.height.is_multiple_of(2) || !input.width.is_multiple_of(2) {
            return Err(NetworkError::OddSize { space, place, shape: input });
        }
        if !channels.is_multiple_of(2) {
            return Err(NetworkError::OddChannels { space, place, channels });
        }
        Ok(Shape::new(input.height / 2, input.width / 2, channels))
    }
}
