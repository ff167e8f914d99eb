//! What no result depends on is not computed, and still counts as used.

use crosstalk::backend::LanePlan;
use crosstalk::network::{Model, Network, NetworkSize, Sharing};
use crosstalk::plan::Graph;
use crosstalk::space::Space;
use crosstalk::tensor::Shape;

/// `tracked`: whether the cells' normalizations keep running statistics.
fn model(tracked: bool) -> Model {
    let mut space = Space::built_in("nasbench201").expect("a built-in space");
    space.normalization.cell.tracked = tracked;
    let size = NetworkSize { input: Shape::new(8, 8, 1), channels: 4, cells: 1, classes: 10 };
    Model::new(Network::build(&space, size).expect("a valid size"), Sharing::All, &[])
}

/// Names of the stages of the first cell, and of the first cell's parameters that count as used.
fn computed_and_used(model: &Model, child: &str, training: bool) -> (Vec<String>, Vec<String>) {
    let child = model.network.space.parse_child(child).expect("a child");
    let graph = Graph::of_children(model, &[child]);
    let plan = if training { LanePlan::training } else { LanePlan::evaluation }(&model.network, graph);
    let first = |name: &&str| name.starts_with("cells.0.");
    let stages = plan.graph.stages.iter().map(|stage| stage.name.as_str());
    let name = |id: usize| model.network.parameters[id].name.trim_end_matches(".weight");
    let used = plan.parameters.iter().map(|reference| name(reference.parameter));
    (stages.filter(first).map(str::to_owned).collect(), used.filter(first).map(str::to_owned).collect())
}

const DEAD: &str = "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|nor_conv_1x1~0|none~1|none~2|";
const ALL: [&str; 3] = ["cells.0.edges.1<-0.3.op.1", "cells.0.edges.2<-0.2.op.1", "cells.0.edges.3<-0.2.op.1"];

#[test]
fn an_edge_without_a_way_to_the_output_is_not_computed_and_counts_as_used() {
    for training in [true, false] {
        let (stages, used) = computed_and_used(&model(false), DEAD, training);
        assert_eq!(stages, [ALL[2]]);
        assert_eq!(used, ALL);
    }
}

#[test]
fn training_computes_a_dead_edge_whose_running_statistics_move() {
    let (stages, used) = computed_and_used(&model(true), DEAD, true);
    assert_eq!(stages, ALL, "but not the pool");
    assert_eq!(used, ALL);
    let (stages, _) = computed_and_used(&model(true), DEAD, false);
    assert_eq!(stages, [ALL[2]]);
}

#[test]
fn an_edge_behind_zeros_is_computed_only_where_its_normalization_does_not_keep_them() {
    let child = "|none~0|+|skip_connect~0|nor_conv_3x3~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_1x1~2|";
    let behind = "cells.0.edges.2<-1.3.op.1".to_owned();
    let (stages, used) = computed_and_used(&model(false), child, true);
    assert!(!stages.contains(&behind) && used.contains(&behind), "{stages:?}");
    let (stages, used) = computed_and_used(&model(true), child, true);
    assert!(stages.contains(&behind) && used.contains(&behind), "{stages:?}");
}

#[test]
fn nothing_of_the_cells_of_a_disconnected_child_is_computed() {
    let child = "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|none~0|none~1|none~2|";
    for training in [true, false] {
        assert!(computed_and_used(&model(false), child, training).0.is_empty());
    }
}
