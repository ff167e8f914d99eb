//! Leaves out what no result depends on: dead edges, and what only adds zero.

use super::graph::{Graph, StageKind, ValueId};
use crate::network::ParameterRef;
use std::collections::BTreeSet;

impl Graph {
    /// The graph without the stages that no head depends on. In training (`keep_tracked`) those stay that move running statistics, as
    /// PyTorch moves them, with what they read. Parameters of stages left out become [`Graph::idle`]: their gradient is zero.
    pub fn pruned(mut self, keep_tracked: bool) -> Self {
        let all = self.parameters();
        self.drop_zero_terms();
        let mut needed = vec![false; self.values.len()];
        let mut kept = vec![false; self.stages.len()];
        for (id, stage) in self.stages.iter().enumerate().rev() {
            kept[id] = stage.output.is_none_or(|value| {
                let tracked = self.values[value].norm.is_some_and(|norm| norm.running.is_some());
                needed[value] || keep_tracked && tracked
            });
            if kept[id] {
                stage.inputs.iter().for_each(|input| needed[*input] = true);
            }
        }
        self.keep(&kept);
        let used: BTreeSet<ParameterRef> = self.parameters().into_iter().collect();
        self.idle = all.into_iter().filter(|parameter| !used.contains(parameter)).collect();
        self
    }

    /// Nodes add no term that is zero whatever the weights and the images.
    fn drop_zero_terms(&mut self) {
        let mut zero = vec![false; self.values.len()];
        for stage in &mut self.stages {
            if let StageKind::Node { gates } = &mut stage.kind {
                let mut wanted = stage.inputs.iter().map(|input| !zero[*input]);
                gates.retain(|_| wanted.next().unwrap_or(true));
                stage.inputs.retain(|input| !zero[*input]);
            }
            let Some(output) = stage.output else { continue };
            // Batch statistics of zeros normalize to zero; a shift or running statistics do not.
            let norm = self.values[output].norm;
            let stays = norm.is_none_or(|norm| norm.affine.is_none() && norm.running.is_none());
            zero[output] = stays && stage.inputs.iter().all(|input| zero[*input]);
        }
    }

    /// Keeps these stages and the values that they make, numbered anew.
    fn keep(&mut self, kept: &[bool]) {
        let mut place: Vec<Option<ValueId>> = vec![None; self.values.len()];
        let mut values = vec![self.values[Self::IMAGE].clone()];
        place[Self::IMAGE] = Some(Self::IMAGE);
        let mut stages = Vec::new();
        self.heads.clear();
        for (mut stage, _) in std::mem::take(&mut self.stages).into_iter().zip(kept).filter(|(_, kept)| **kept) {
            stage.inputs = stage.inputs.iter().filter_map(|input| place[*input]).collect();
            match stage.output {
                Some(output) => {
                    values.push(self.values[output].clone());
                    place[output] = Some(values.len() - 1);
                    stage.output = place[output];
                }
                None => self.heads.push(stages.len()),
            }
            stages.push(stage);
        }
        (self.values, self.stages) = (values, stages);
    }
}
