//! Children of darts: numbers, and genotypes in and out.

use crosstalk::space::{Child, Space};
use proptest::prelude::*;

fn darts() -> Space {
    Space::built_in("darts").unwrap()
}

/// Two candidates and their sources for every node, in both cells.
const GENOTYPE: &str = "Genotype(\
    normal=[('sep_conv_3x3', 0), ('sep_conv_5x5', 1), ('dil_conv_3x3', 0), ('skip_connect', 2), ('max_pool_3x3', 1), ('avg_pool_3x3', 3), \
    ('dil_conv_5x5', 2), ('skip_connect', 4)], normal_concat=range(2, 6), \
    reduce=[('max_pool_3x3', 0), ('skip_connect', 1), ('avg_pool_3x3', 1), ('skip_connect', 2), ('sep_conv_3x3', 0), ('dil_conv_5x5', 2), \
    ('sep_conv_5x5', 3), ('dil_conv_3x3', 4)], reduce_concat=range(2, 6))";

#[test]
fn a_genotype_is_the_child_whose_other_edges_are_none() {
    let space = darts();
    let child = space.parse_child(GENOTYPE).unwrap();
    // Edges by target, then source: 02 12, 03 13 23, 04 14 24 34, 05 15 25 35 45.
    let numbers = "5-6-7-1-4-1-2-1-3-1-1-8-1-4-2-4-1-3-4-5-1-8-1-1-1-1-6-7";
    assert_eq!(space.format_child(&child), numbers);
    assert_eq!(space.parse_child(numbers).unwrap(), child);
    assert_eq!(space.genotype(&child).unwrap().unwrap(), GENOTYPE);
}

#[test]
fn genotypes_are_read_as_python_may_write_them() {
    let space = darts();
    let child = space.parse_child(GENOTYPE).unwrap();
    for (from, to) in [
        ("range(2, 6)", "[2, 3, 4, 5]"),
        ("range(2, 6)", "range( 2,6 )"),
        ("normal_concat=", "normal_concat = "),
        ("'", "\""),
        (", ", ",\n    "),
        ("('sep_conv_3x3', 0), ('sep_conv_5x5', 1)", "('sep_conv_5x5', 1), ('sep_conv_3x3', 0)"),
        ("4)], ", "4),], "),
        ("range(2, 6))", "range(2, 6),\n)\n"),
        ("Genotype(", "  Genotype (\n  "),
    ] {
        assert!(GENOTYPE.contains(from), "{from}");
        let text = GENOTYPE.replace(from, to);
        assert_eq!(space.parse_child(&text).as_ref(), Ok(&child), "{text}");
        assert_eq!(space.read_child(&text).as_ref(), Ok(&child), "{text}");
    }
}

#[test]
fn a_mistake_in_a_genotype_is_told_with_its_column() {
    let space = darts();
    for (from, to, at, expected) in [
        ("Genotype(", "Genotype[", "[", "lacks `(` at"),
        (
            "('sep_conv_3x3', 0), ('sep_conv_5x5', 1)",
            "('sep_conv_7x7', 0), ('sep_conv_5x5', 1)",
            "sep_conv_7x7",
            "lacks one of max_pool_3x3, avg_pool_3x3,",
        ),
        (
            "('sep_conv_3x3', 0), ('sep_conv_5x5', 1)",
            "('none', 0), ('sep_conv_5x5', 1)",
            "none",
            "lacks one of max_pool_3x3, ",
        ),
        ("('sep_conv_5x5', 1), ('dil", "('sep_conv_5x5', 2), ('dil", "2), ('dil", "lacks a source of node 2 (1) at"),
        (
            "('avg_pool_3x3', 3)",
            "('avg_pool_3x3', 1)",
            "1), ('dil_conv_5x5', 2)",
            "lacks a source of node 4 (0, 2, 3) at",
        ),
        ("('avg_pool_3x3', 3)", "('avg_pool_3x3', -3)", "-3)", "lacks a source of node 4 (0, 2, 3) at"),
        (", ('skip_connect', 4)]", "]", "], normal_concat", "lacks `,` at"),
        ("('skip_connect', 4)]", "('skip_connect', 4), ('skip_connect', 4)]", "('skip_connect', 4)], ", "lacks `]` at"),
        (
            "normal_concat=range(2, 6)",
            "normal_concat=range(1, 6)",
            "range(1, 6)",
            "lacks `range(2, 6)`, the nodes of this space's output, at",
        ),
        (
            "reduce_concat=range(2, 6)",
            "reduce_concat=[2, 4]",
            "[2, 4]",
            "lacks `range(2, 6)`, the nodes of this space's output, at",
        ),
        ("reduce=", "reduction=", "reduction=", "lacks `reduce` at"),
        ("range(2, 6))", "range(2, 6)) and more", "and more", "lacks the end at"),
        ("reduce_concat=range(2, 6))", "", "", "lacks `reduce_concat` at"),
    ] {
        assert!(GENOTYPE.contains(from), "{from}");
        let text = GENOTYPE.replacen(from, to, 1);
        let error = space.parse_child(&text).unwrap_err().to_string();
        assert!(error.starts_with("the genotype ") && error.contains(expected), "{text}: {error}");
        let column = if at.is_empty() { text.len() } else { text.find(at).unwrap() } + 1;
        assert!(error.contains(&format!(" at column {column}, behind `")), "{text}: column {column}: {error}");
    }
}

#[test]
fn a_child_that_keeps_other_than_two_edges_a_node_has_no_genotype() {
    let space = darts();
    let child = space.parse_child(GENOTYPE).unwrap();
    for (edge, candidate, sentence) in [
        (0, 0, "none: node 2 of `normal` takes 1 edges that are not zero, and a genotype keeps 2"),
        (10, 3, "none: node 5 of `normal` takes 3 edges that are not zero, and a genotype keeps 2"),
        (16, 4, "none: node 3 of `reduce` takes 3 edges that are not zero, and a genotype keeps 2"),
    ] {
        let mut other = child.clone();
        other.0[edge] = candidate;
        assert_eq!(space.genotype(&other).unwrap().unwrap_err().to_string(), sentence);
    }
    assert!(Space::built_in("nasbench201").unwrap().genotype(&Child(vec![0; 6])).is_none());
}

#[test]
fn a_skip_that_halves_the_size_is_no_identity_in_canonical_strings() {
    let space = darts();
    let skips = space.parse_child(&vec!["4"; 28].join("-")).unwrap();
    let canonical = space.canonical_string(&skips);
    let (normal, reduce) = canonical.split_once('/').unwrap();
    assert!(normal.starts_with("0+1,0+0+1+1,"), "{normal}");
    assert!(reduce.starts_with("(0)@skip_connect+(1)@skip_connect,"), "{reduce}");
}

#[test]
fn lists_of_children_hold_genotypes_beside_numbers() {
    let space = darts();
    let ones = vec!["1"; 28].join("-");
    let list = format!("{ones}, {GENOTYPE},{}", ones.replace('1', "8"));
    let children = space.parse_children(&list).unwrap();
    assert_eq!(children.len(), 3);
    assert_eq!(children[1], space.parse_child(GENOTYPE).unwrap());
    assert!(space.parse_children(&format!("{GENOTYPE},{GENOTYPE}")).unwrap_err().to_string().contains("stands twice"));
    let untied = space.clone().untied(4);
    assert_eq!(untied.parse_child(GENOTYPE).unwrap(), untied.repeated(&children[1]));
}

#[test]
fn spaces_that_genotypes_do_not_fit_are_refused() {
    let other = include_str!("../spaces/nasbench201.toml").replace("\"nasbench201\"\n\n", "\"darts\"\n\n");
    let error = Space::from_toml(&other, "my.toml").unwrap_err().to_string();
    assert!(error.contains("`darts` writes the cells `normal` and `reduce` and no others; name them so"), "{error}");
    // Edges that a search does not keep need a zero candidate whatever the encoding.
    let text = include_str!("../spaces/darts.toml").replace("kept_edges = 2\n", "");
    for (from, to, sentence) in [
        (
            "kind = \"zero\"",
            "kind = \"identity\"\nreduction = [{ operation = \"max_pool\", kernel = 3, stride = 2 }]",
            "`cells.normal` lacks a zero candidate",
        ),
        ("rule = \"concat\"", "rule = \"sum\"", "`cells.normal` lacks a concatenation as output"),
        (
            "nodes = 4\n",
            "nodes = 4\nedges = [[0, 2], [0, 3], [1, 3], [0, 4], [1, 4], [2, 5], [3, 5], [4, 5]]\n",
            "`cells.normal` lacks two edges into every node",
        ),
    ] {
        let error = Space::from_toml(&text.replace(from, to), "my.toml").unwrap_err().to_string();
        assert!(error.starts_with("my.toml, at `encoding`: ") && error.contains(sentence), "{error}");
        Space::from_toml(&text.replace(from, to).replace("\"darts\"\n\n", "\"numbers\"\n\n"), "my.toml").unwrap();
    }
}

/// For each of the eight nodes two of its sources, and a candidate for each.
fn any_kept() -> impl Strategy<Value = Vec<[(usize, u8); 2]>> {
    let node = |sources: usize| {
        let pair = proptest::sample::subsequence((0..sources).collect::<Vec<_>>(), 2);
        (pair, 1..8_u8, 1..8_u8).prop_map(|(sources, first, second)| [(sources[0], first), (sources[1], second)])
    };
    [2, 3, 4, 5, 2, 3, 4, 5].map(node).to_vec()
}

proptest! {
    #[test]
    fn a_child_of_two_edges_a_node_comes_back_from_its_genotype(kept in any_kept()) {
        let space = darts();
        let mut choices = Vec::new();
        for (node, pair) in kept.into_iter().enumerate() {
            let first = choices.len();
            choices.resize(first + 2 + node % 4, 0);
            pair.into_iter().for_each(|(source, candidate)| choices[first + source] = candidate);
        }
        let child = Child(choices);
        let text = space.genotype(&child).unwrap().unwrap();
        prop_assert_eq!(space.parse_child(&text).unwrap(), child.clone());
        prop_assert_eq!(space.read_child(&text).unwrap(), child);
    }

    #[test]
    fn any_child_comes_back_from_its_numbers(choices in proptest::collection::vec(0..8_u8, 28)) {
        let (space, child) = (darts(), Child(choices));
        prop_assert_eq!(space.parse_child(&space.format_child(&child)).unwrap(), child);
    }

    #[test]
    fn a_genotype_that_was_cut_or_changed_is_refused_or_read_without_panic(at in 0..GENOTYPE.len(), symbol in any::<char>()) {
        let space = darts();
        prop_assert!(space.parse_child(&GENOTYPE[..at]).is_err());
        let changed = format!("{}{symbol}{}", &GENOTYPE[..at], &GENOTYPE[at + 1..]);
        if let Ok(child) = space.parse_child(&changed) {
            prop_assert!(space.genotype(&child).unwrap().is_ok());
        }
    }
}
