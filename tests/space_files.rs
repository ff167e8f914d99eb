//! Files of search spaces: what the format can say, and the sentence that each mistake gets.

use crosstalk::space::{BlockKind, Candidate, OutputRule, Space};

fn zhang64() -> String {
    include_str!("../spaces/zhang64.toml").to_owned()
}

/// The sentence for `text` with one change.
fn refused(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "`{from}` is not in the file");
    Space::from_toml(&text.replacen(from, to, 1), "my.toml").unwrap_err().to_string()
}

#[test]
fn every_built_in_space_loads_under_the_name_that_it_bears() {
    for name in Space::built_in_names() {
        assert_eq!(Space::load(name).unwrap().name, name);
    }
}

#[test]
fn a_space_survives_being_written_and_read() {
    for space in Space::built_in_names().into_iter().map(|name| Space::built_in(name).unwrap()) {
        let text = toml::to_string(&space).unwrap();
        assert_eq!(Space::from_toml(&text, "written").unwrap(), space);
    }
}

#[test]
fn zhang64_has_the_graph_and_the_names_of_the_official_program() {
    let space = Space::built_in("zhang64").unwrap();
    let cell = &space.cells["cell"];
    assert_eq!(cell.edge_list(), [(0, 1), (0, 2), (1, 2)]);
    assert_eq!((space.choices(), cell.output_multiple()), (vec![4, 4, 4], 2));
    assert_eq!(cell.candidate_prefix(2, 2, (1, 2), 3), "net.cells.2.dag.1.1._ops.3");
    let blocks = space.blocks(4);
    assert_eq!(blocks.len(), 4);
    assert!(blocks.iter().all(|block| block.channel_multiple == 1 && !block.reduces && !block.after_reduction));
}

#[test]
fn nasbench201_is_three_stages_with_residual_reductions() {
    let space = Space::built_in("nasbench201").unwrap();
    let cell = &space.cells["cell"];
    assert_eq!(cell.edge_list(), [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)]);
    assert_eq!((space.choices(), space.child_count()), (vec![5; 6], 15_625));
    assert_eq!((cell.output.rule, cell.output_multiple()), (OutputRule::Last, 1));
    assert_eq!(cell.candidate_prefix(7, 4, (1, 3), 2), "cells.7.edges.3<-1.2");
    let blocks = space.blocks(5);
    let reductions: Vec<_> = blocks.iter().filter(|block| block.reduces).map(|block| block.index).collect();
    assert_eq!((blocks.len(), reductions), (17, vec![5, 11]));
    assert!(matches!(blocks[5].kind, BlockKind::Residual(_)));
    assert_eq!([4, 5, 10, 11, 16].map(|index| blocks[index].channel_multiple), [1, 2, 2, 4, 4]);
    assert!(!space.normalization.cell.affine && !space.normalization.cell.tracked);
    assert!(space.normalization.residual.unwrap().affine && space.head.relu);
}

#[test]
fn darts_has_two_cell_types_two_inputs_and_strides_on_edges() {
    let space = Space::built_in("darts").unwrap();
    assert_eq!(space.choices(), vec![8; 28]);
    assert_eq!(space.child_count(), 8u128.pow(28));
    assert_eq!(space.edge_names()[13..15], ["normal 4->5", "reduce 0->2"]);
    let reduce = &space.cells["reduce"];
    assert_eq!([0, 1, 2].map(|source| reduce.edge_stride(source)), [2, 2, 1]);
    assert_eq!([0, 1, 2].map(|source| space.cells["normal"].edge_stride(source)), [1, 1, 1]);
    assert_eq!((reduce.output_multiple(), reduce.inputs.len()), (4, 2));
    let after = &reduce.inputs[0].layers_after_reduction[0];
    assert_eq!((after.operation.name, after.stride_on(1)), ("factorized_reduce", 2));
    let Candidate::Layers { layers } = &space.candidates["dil_conv_5x5"] else { panic!("layers") };
    assert_eq!((layers[0].stride_on(2), layers[0].stride_on(1), layers[0].padding()), (2, 1, 4));
    let blocks = space.blocks(8);
    let reductions: Vec<_> = blocks.iter().filter(|block| block.reduces).map(|block| block.index).collect();
    let after: Vec<_> = blocks.iter().filter(|block| block.after_reduction).map(|block| block.index).collect();
    assert_eq!((reductions, after), (vec![2, 5], vec![3, 6]));
    assert_eq!([1, 2, 4, 5, 7].map(|index| blocks[index].channel_multiple), [1, 2, 2, 4, 4]);
}

#[test]
fn a_name_or_a_path_that_leads_nowhere_says_what_to_write() {
    assert_eq!(
        Space::load("zhang46").unwrap_err().to_string(),
        "no search space is called `zhang46`: name one of `zhang64`, `nasbench201`, `darts`, or a file that ends in `.toml`"
    );
    let missing = Space::load("absent/space.toml").unwrap_err().to_string();
    assert!(missing.starts_with("the search space `absent/space.toml` cannot be read ("), "{missing}");
    assert!(missing.ends_with("check the path, or name one of `zhang64`, `nasbench201`, `darts`"), "{missing}");
}

#[test]
fn mistakes_of_syntax_name_the_file_and_the_line() {
    let text = zhang64();
    let unknown = refused(&text, "[skeleton]\n", "[skeleton]\nrows = 3\n");
    assert_eq!(
        unknown,
        "my.toml, line 26: unknown key `rows`, expected one of `arrangement`, `cell`, `reduction`; correct the file there"
    );
    let cases = [
        ("channels = 16", "channels = \"16\"", "line 10: invalid type: string \"16\", expected usize"),
        ("cells = 4", "cells = -4", "line 11: invalid value: integer `-4`, expected usize"),
        ("encoding = \"digits\"\n", "", "missing key `encoding`"),
        (
            "\"digits\"",
            "\"roman\"",
            "line 7: unknown variant `roman`, expected one of `digits`, `numbers`, `darts`, `nasbench201`",
        ),
        (
            "\"max_pool\", kernel",
            "\"min_pool\", kernel",
            "unknown operation `min_pool`, expected one of `convolution`, `depthwise_separable`, ",
        ),
        ("kernel = 5,", "kernal = 5,", "unknown key `kernal`, expected one of `operation`, `relu`, `kernel`"),
        ("[stem]", "[stem", "line 19: "),
        ("[head]\n", "[candidates.none]\nkind = \"zero\"\nfill = 0\n[head]\n", "unknown key `fill`"),
        (
            "[head]\n",
            "[candidates.none]\nkind = \"zero\"\nlayers = []\n[head]\n",
            "a candidate of kind `zero` has neither",
        ),
    ];
    for (from, to, sentence) in cases {
        let error = refused(&text, from, to);
        assert!(error.starts_with("my.toml, line ") && error.contains(sentence), "{error}");
        assert!(!error.contains('\n') && error.ends_with("; correct the file there"), "{error}");
    }
}

#[test]
fn mistakes_of_meaning_name_the_file_the_place_and_what_to_do() {
    let text = zhang64();
    assert_eq!(
        refused(&text, "\"dil_conv_5x5\"]", "\"dil_conv_7x7\"]"),
        "my.toml, at `cells.cell.candidates[3]`: there is no candidate `dil_conv_7x7`; name one of `dil_conv_5x5`, \
         `max_pool_3x3`, `sep_conv_3x3`, `sep_conv_5x5`, or define it under `candidates`"
    );
    let sep = r#"weights = ["net.0.net.1", "net.0.net.2"]"#;
    let cases = [
        ("name = \"zhang64\"", "name = \"Zhang 64\"", "name", "is not one word"),
        ("channels = 16", "channels = 0", "defaults.channels", "0 is not from 1 to 4096; write a number that is"),
        ("cells = 4", "cells = 0", "defaults.cells", "0 is not from 1 to 1000"),
        ("momentum = 0.4", "momentum = 0.0", "normalization.stem.momentum", "0 is not above 0 and at most 1"),
        ("momentum = 0.4", "momentum = nan", "normalization.stem.momentum", "not above 0 and at most 1"),
        ("epsilon = 1e-5", "epsilon = -1e-5", "normalization.stem.epsilon", "not above 0 and at most 1"),
        (
            "cell = {",
            "head = { affine = true, tracked = true, momentum = 0.1, epsilon = 1e-5 }\ncell = {",
            "normalization.head",
            "nothing at this place has a norm",
        ),
        ("[head]", "[head]\nnorm = \"last\"", "normalization.head", "add `normalization.head` or remove the norm"),
        (
            "kernel = 3, channels",
            "kernel = 4, channels",
            "stem.layers[0].kernel",
            "the kernel 4 is even; write an odd one",
        ),
        ("kernel = 3, channels", "kernel = 0, channels", "stem.layers[0].kernel", "0 is not from 1 to 1024"),
        ("alpha_normal.{node}", "alpha_normal.{edge}", "cells.cell.alphas", "{edge}"),
        (
            "alphas = \"alpha_normal.{node}\"",
            "kept_edges = 2",
            "cells.cell.kept_edges",
            "take a zero candidate, but the cell has none; add one, or remove",
        ),
        (
            "alphas = \"alpha_normal.{node}\"",
            "kept_edges = 9",
            "cells.cell.kept_edges",
            "edges, so that keeping 9 drops none; lower it, or remove",
        ),
        ("dilation = 2", "dilation = 0", "candidates.dil_conv_5x5.layers[0].dilation", "0 is not from 1 to 1024"),
        ("dilation = 2", "stride = 0", "candidates.dil_conv_5x5.layers[0].stride", "0 is not from 1 to 1024"),
        (
            "dilation = 2",
            "stride = 2",
            "cells.cell.candidates[3]",
            "`dil_conv_5x5` has stride 2 on edges with stride 1",
        ),
        (
            "dilation = 2",
            "stride = 2, edge_stride = true",
            "candidates.dil_conv_5x5.layers[0]",
            "both `stride` and `edge_stride`",
        ),
        ("dilation = 2", "channels = 2", "candidates.dil_conv_5x5.layers", "2 times C channels where C is needed"),
        ("channels = 3", "edge_stride = true", "stem.layers[0]", "`edge_stride` stands outside a candidate"),
        ("channels = 3", "channels = 0", "stem.layers[0].channels", "0 is not from 1 to 1024"),
        (
            "\"max_pool\", kernel = 3",
            "\"max_pool\", kernel = 3, channels = 2",
            "candidates.max_pool_3x3.layers[0].channels",
            "`max pool` keeps the channels of its input",
        ),
        (
            sep,
            r#"weights = ["net.0.net.1"]"#,
            "candidates.sep_conv_3x3.layers[0].weights",
            "1 weight names are given, but `depthwise separable` has 2; write 2",
        ),
        (sep, r#"weights = ["", "net.0.net.2"]"#, "candidates.sep_conv_3x3.layers[0]", "a parameter name is empty"),
        (
            sep,
            r#"weights = ["net.0.net.2", "net.0.net.2"]"#,
            "edge 0->1, sep_conv_3x3",
            "the parameter name `net.cells.0.dag.0.0._ops.1.net.0.net.2` also stands at",
        ),
        (
            "{cell}.dag",
            "{cel}.dag",
            "cells.cell.prefix",
            "uses `{cel}`, which means nothing here; allowed: {cell}, {target}, {node}, {source}, {edge}, {candidate}",
        ),
        (
            "{cell}.dag",
            "{cell.dag",
            "cells.cell.prefix",
            "has a brace without its partner; write variables as `{cell}`",
        ),
        (
            "{cell}.dag",
            "0.dag",
            "cells.cell (block 1), edge 0->1, max_pool_3x3",
            "also stands at `cells.cell (block 0), edge 0->1, max_pool_3x3`",
        ),
        (
            "net.linear",
            "net.{cell}.linear",
            "head.classifier",
            "uses `{cell}`, which means nothing here; allowed: none",
        ),
        ("net.linear", "net.stem.0", "head.classifier", "`net.stem.0` also stands at `stem.layers`"),
        ("cell = \"cell\"", "cell = \"row\"", "skeleton.cell", "there is no searched cell `row`; name one of `cell`"),
        ("\"uniform\"", "\"stages\"", "skeleton.reduction", "this arrangement needs a reduction"),
        (
            "cell = \"cell\"",
            "cell = \"cell\"\nreduction = \"cell\"",
            "skeleton.reduction",
            "a uniform arrangement has no reduction",
        ),
        (
            "nodes = 2",
            "nodes = 2\nreduces = true",
            "cells.cell.candidates[0]",
            "`max_pool_3x3` has stride 1 on edges with stride 2",
        ),
        (
            "[[0, 1], [0, 2], [1, 2]]",
            "[[0, 1], [0, 2], [2, 1]]",
            "cells.cell.edges[2]",
            "the edge from 2 to 1 does not point forward",
        ),
        (
            "[[0, 1], [0, 2], [1, 2]]",
            "[[0, 1], [1, 2], [0, 2]]",
            "cells.cell.edges[2]",
            "the edge from 0 to 2 is out of order",
        ),
        (
            "[[0, 1], [0, 2], [1, 2]]",
            "[[0, 1], [0, 1], [1, 2]]",
            "cells.cell.edges[1]",
            "the edge from 0 to 1 is out of order",
        ),
        (
            "[[0, 1], [0, 2], [1, 2]]",
            "[[0, 1], [0, 2], [1, 3]]",
            "cells.cell.edges[2]",
            "a node that the cell lacks; its nodes are 0 to 2",
        ),
        ("[[0, 1], [0, 2], [1, 2]]", "[[0, 1]]", "cells.cell.edges", "no edge ends in node 2"),
        ("nodes = [1, 2]", "nodes = [1]", "cells.cell.edges", "no path leads from node 2 to the output"),
        (
            "nodes = [1, 2]",
            "nodes = [1, 3]",
            "cells.cell.output.nodes[1]",
            "the node 3 is not in the cell; its nodes are 0 to 2",
        ),
        ("nodes = [1, 2]", "nodes = [1, 1]", "cells.cell.output.nodes[1]", "the node 1 stands twice"),
        ("nodes = [1, 2]", "nodes = []", "cells.cell.output.nodes", "no node enters the output"),
        ("\"concat\"", "\"last\"", "cells.cell.output.nodes", "`last` takes exactly one node, but 2 are given"),
        ("nodes = 2\n", "nodes = 0\n", "cells.cell.nodes", "0 is not from 1 to 64"),
        ("previous = 1", "previous = 3", "cells.cell.inputs[0].previous", "3 is not from 1 to 2"),
        (
            "previous = 1",
            "previous = 1\nlayers_after_reduction = [{ operation = \"factorized_reduce\", weights = [\"a{cell}\", \"b{cell}\"] }]",
            "cells.cell.inputs[0]",
            "this input never has twice the size",
        ),
        (
            "[\"max_pool_3x3\", \"sep",
            "[\"sep_conv_3x3\", \"sep",
            "cells.cell.candidates[1]",
            "the candidate `sep_conv_3x3` stands twice",
        ),
        (
            "[\"max_pool_3x3\", \"sep_conv_3x3\", \"sep_conv_5x5\", \"dil_conv_5x5\"]",
            "[]",
            "cells.cell.candidates",
            "there are no candidates",
        ),
    ];
    for (from, to, place, sentence) in cases {
        let error = refused(&text, from, to);
        assert!(error.starts_with("my.toml, at `") && error.contains(place), "{to}: {error}");
        assert!(error.contains(sentence), "{to}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn an_input_taken_as_it_is_needs_c_channels() {
    let text = zhang64();
    let (before, after) = text.split_once("layers = [\n    { operation = \"convolution\", relu").unwrap();
    let (_, after) = after.split_once("]\n\n[candidates.max_pool_3x3]").unwrap();
    let plain = format!("{before}\n[candidates.max_pool_3x3]{after}");
    let error = Space::from_toml(&plain, "my.toml").unwrap_err().to_string();
    assert!(
        error.contains(
            "`cells.cell.inputs[0]`: an input without layers must come in with C channels, but `stem` gives 3 times C"
        ),
        "{error}"
    );
}

#[test]
fn mistakes_in_reductions_are_refused() {
    let nasbench201 = include_str!("../spaces/nasbench201.toml").to_owned();
    let darts = include_str!("../spaces/darts.toml").to_owned();
    let cases = [
        (
            &nasbench201,
            "reduction = \"residual\"",
            "reduction = \"cell\"",
            "skeleton.reduction",
            "add `reduces = true` to `cells.cell`",
        ),
        (
            &nasbench201,
            "reduction = \"residual\"",
            "reduction = \"block\"",
            "skeleton.reduction",
            "there is no searched cell or residual block `block`; name one of `residual`",
        ),
        (
            &nasbench201,
            "kernel = 3, stride = 2",
            "kernel = 3",
            "residuals.residual.branches[0]",
            "the layers have stride 1 where 2 is needed",
        ),
        (
            &nasbench201,
            "kernel = 2, stride = 2",
            "kernel = 2, stride = 1",
            "residuals.residual.branches[1][0].kernel",
            "the kernel 2 is even",
        ),
        (
            &nasbench201,
            "{ operation = \"convolution\", weights = [\"cells.{cell}.down",
            "{ operation = \"convolution\", channels = 2, weights = [\"cells.{cell}.down",
            "residuals.residual.branches[1]",
            "branch 0 makes 1 times C channels and this one 2",
        ),
        (
            &nasbench201,
            "cells.{cell}.downsample.1",
            "downsample.1",
            "residuals.residual (block 13)",
            "`downsample.1` also stands at `residuals.residual (block 6)`",
        ),
        (&nasbench201, "residual = {", "head = {", "", "duplicate key"),
        (
            &nasbench201,
            "inputs = [{ previous = 1 }]",
            "inputs = [{ previous = 2 }]",
            "cells.cell.inputs[0]",
            "add `layers_after_reduction` with stride 2",
        ),
        (&nasbench201, "encoding = \"nasbench201\"", "encoding = \"digits\"", "", "ok"),
        (
            &darts,
            "\"darts\"\n\n",
            "\"digits\"\n\n",
            "encoding",
            "`digits` writes the edges of one searched cell, but there are 2; choose `numbers`",
        ),
        (
            &darts,
            "\"darts\"\n\n",
            "\"nasbench201\"\n\n",
            "encoding",
            "`nasbench201` writes the edges of one searched cell, but there are 2; choose `numbers`",
        ),
        (
            &darts,
            "cell = \"normal\"",
            "cell = \"reduce\"",
            "skeleton.cell",
            "the cell that repeats must keep the size; remove `reduces` from `cells.reduce`",
        ),
        (&darts, "reduces = true\n", "", "skeleton.reduction", "add `reduces = true` to `cells.reduce`"),
        (
            &darts,
            "kernel = 3, edge_stride = true, norm",
            "kernel = 3, norm",
            "cells.reduce.candidates[1]",
            "`max_pool_3x3` has stride 1 on edges with stride 2 in `cells.reduce`; give `edge_stride = true`",
        ),
        (
            &darts,
            "reduction = [{ operation = \"factorized_reduce\", relu = true, weights = [\"conv_1\", \"conv_2\"], norm = \"bn\" }]",
            "",
            "cells.reduce.candidates[3]",
            "`skip_connect` stands on edges with stride 2 in `cells.reduce`, but has no `reduction`",
        ),
        (
            &darts,
            "reduction = [{ operation = \"factorized_reduce\"",
            "reduction = [{ operation = \"factorized_reduce\", stride = 2",
            "candidates.skip_connect.reduction[0]",
            "a factorized reduction has kernel 1",
        ),
    ];
    for (text, from, to, place, sentence) in cases {
        if sentence == "ok" {
            assert!(Space::from_toml(&text.replacen(from, to, 1), "my.toml").is_ok());
            continue;
        }
        let error = refused(text, from, to);
        assert!(error.starts_with("my.toml") && error.contains(place) && error.contains(sentence), "{to}: {error}");
    }
}

#[test]
fn a_space_with_too_many_children_to_number_is_refused() {
    let text = zhang64()
        .replace("nodes = 2\nedges = [[0, 1], [0, 2], [1, 2]]", "nodes = 12")
        .replace("[1, 2]", "[10, 11, 12]");
    let error = Space::from_toml(&text.replace("\"digits\"", "\"numbers\""), "my.toml").unwrap_err().to_string();
    assert!(error.contains("at `cells`: there are 2^128 children or more"), "{error}");
}
