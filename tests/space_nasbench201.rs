//! Children of NAS-Bench-201: their strings and numbers, which are connected, which are the same network; one child for each cell.

use crosstalk::space::{Child, Space};
use std::collections::HashSet;

/// One child of the published tables, its `op_indices` in NASLib, and its canonical string.
const STRING: &str = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|";

fn space() -> Space {
    Space::built_in("nasbench201").unwrap()
}

fn distinct(string: impl Fn(&Space, &Child) -> String) -> usize {
    let space = space();
    space.enumerate().map(|child| string(&space, &child)).collect::<HashSet<_>>().len()
}

#[test]
fn every_string_is_read_back_and_stands_at_its_index() {
    let space = space();
    assert_eq!(space.child_count(), 15_625);
    for (index, child) in space.enumerate().enumerate() {
        let text = space.format_child(&child);
        assert_eq!(space.parse_child(&text).unwrap(), child);
        assert_eq!((space.index_of(&child), space.child_at(index as u128)), (index as u128, child));
    }
    let child = space.parse_child(STRING).unwrap();
    assert_eq!(child.0, [4, 2, 1, 2, 1, 1]);
    assert_eq!(space.index_of(&child), 4 * 3125 + 2 * 625 + 125 + 2 * 25 + 5 + 1);
}

#[test]
fn a_string_that_does_not_parse_is_refused_with_its_column() {
    let refused = |text: &str| space().parse_child(text).unwrap_err().to_string();
    let cases = [
        ("", "lacks `|` at column 1"),
        ("|conv~0|", "lacks one of none, skip_connect, nor_conv_1x1, nor_conv_3x3, avg_pool_3x3 at column 2"),
        ("|none~1|", "lacks `~0|` at column 6"),
        ("|none~0|", "lacks `+` at column 9"),
        ("|none~0|+|none~0", "lacks `~0|` at column 15"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|", "lacks a candidate and `~2|` at column 41"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|x", "lacks the end at column 48"),
    ];
    for (text, expected) in cases {
        let error = refused(text);
        assert!(error.contains(expected) && error.contains("write it as in `|none~0|+"), "{text}: {error}");
    }
}

#[test]
fn naslib_lists_edges_and_candidates_in_an_order_of_its_own() {
    let space = space();
    let child = space.parse_child(STRING).unwrap();
    // (0,1) pool, (0,2) 1x1, (0,3) 1x1, (1,2) skip, (1,3) skip, (2,3) skip.
    assert_eq!(space.to_naslib(&child), Some(vec![4, 3, 3, 0, 0, 0]));
    for child in space.enumerate() {
        assert_eq!(space.from_naslib(&space.to_naslib(&child).unwrap()), Some(child));
    }
    assert_eq!(space.from_naslib(&[0, 0, 0, 0, 0, 5]), None);
    assert_eq!(space.from_naslib(&[0; 5]), None);
    let other = Space::built_in("zhang64").unwrap();
    assert_eq!(other.to_naslib(&other.child_at(0)), None);
}

#[test]
fn as_many_children_are_connected_as_the_paper_counts() {
    let space = space();
    assert_eq!(space.enumerate().filter(|child| space.is_connected(child)).count(), 15_284);
}

#[test]
fn there_are_6466_canonical_strings_and_4930_functions() {
    assert_eq!(distinct(Space::canonical_string), 6466);
    assert_eq!(distinct(Space::flattened_string), 4930);
}

#[test]
fn canonical_strings_are_written_as_in_the_paper() {
    let space = space();
    let of = |text: &str| {
        let child = space.parse_child(text).unwrap();
        (space.canonical_string(&child), space.flattened_string(&child))
    };
    let (canonical, flattened) = of("|nor_conv_1x1~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_3x3~2|");
    assert_eq!(canonical, "#+(#+(0)@nor_conv_1x1)@nor_conv_3x3+0");
    assert_eq!(flattened, "((0)@nor_conv_1x1)@nor_conv_3x3+0");
    let zero = of("|nor_conv_1x1~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|");
    assert_eq!(zero, ("#+#+(#+#)@nor_conv_3x3".to_owned(), "#".to_owned()));
}

#[test]
fn a_child_may_choose_anew_in_every_cell() {
    let (tied, untied) = (space(), space().untied(1));
    assert_eq!(untied.choices(), vec![5; 18]);
    assert_eq!(untied.edge_names()[6], "block 2 0->1", "block 1 is a reduction");
    let alike = untied.parse_child(STRING).unwrap();
    assert_eq!(alike, untied.repeated(&tied.parse_child(STRING).unwrap()));
    assert_eq!(untied.format_child(&alike), STRING);
    let mut other = alike.clone();
    other.0[17] = 0;
    let text = untied.format_child(&other);
    assert_eq!(text, format!("{STRING}/{STRING}/{}", STRING.replace("skip_connect~2", "none~2")));
    assert_eq!(untied.parse_child(&text).unwrap(), other);
    let refused = |text: &str| untied.parse_child(text).unwrap_err().to_string();
    assert!(refused(&format!("{STRING}/{STRING}")).contains("2 parts, but nasbench201 has 3 cells"));
    assert!(refused(&format!("{STRING}/{STRING}/")).contains("lacks `|` at column 1"));
    assert_eq!(untied.parse_children("all").unwrap().len(), 15_625);
    assert!(untied.parse_children("every:7").unwrap().iter().all(|child| untied.contains(child)));
}

#[test]
fn untied_cells_of_two_kinds_take_the_choices_of_their_kind() {
    let tied = Space::built_in("darts").unwrap();
    let untied = tied.clone().untied(6);
    assert_eq!(untied.choices().len(), 6 * 14);
    let child = tied.child_at(123_456_789);
    let repeated = untied.repeated(&child);
    // Blocks 2 and 4 reduce.
    for (block, first) in [0, 0, 14, 0, 14, 0].into_iter().enumerate() {
        assert_eq!(repeated.0[block * 14..][..14], child.0[first..][..14], "block {block}");
    }
    assert_eq!(untied.parse_child(&untied.format_child(&repeated)).unwrap(), repeated);
}
