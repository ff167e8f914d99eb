//! Children: written, numbered, enumerated, drawn, listed.

use std::collections::HashSet;

use crosstalk::space::{Child, Space};

fn zhang64() -> Space {
    Space::built_in("zhang64").unwrap()
}

fn darts() -> Space {
    Space::built_in("darts").unwrap()
}

fn written(space: &Space, children: &[Child]) -> Vec<String> {
    children.iter().map(|child| space.format_child(child)).collect()
}

#[test]
fn the_64_children_go_from_111_to_444_in_lexicographic_order() {
    let space = zhang64();
    let children: Vec<_> = space.enumerate().collect();
    let texts = written(&space, &children);
    assert_eq!((texts.len(), space.child_count()), (64, 64));
    assert_eq!([0, 1, 4, 16, 63].map(|index: usize| texts[index].as_str()), ["111", "112", "121", "211", "444"]);
    assert!(texts.is_sorted() && children.is_sorted());
}

#[test]
fn every_child_is_read_back_as_written_and_found_at_its_index() {
    let space = zhang64();
    for (index, child) in space.enumerate().enumerate() {
        assert_eq!(space.parse_child(&space.format_child(&child)).unwrap(), child);
        assert_eq!(space.index_of(&child), index as u128);
        assert_eq!(space.child_at(index as u128), child);
        assert!(space.contains(&child));
    }
}

#[test]
fn children_of_a_huge_space_are_numbered_and_read_back() {
    let space = darts();
    let last = space.child_at(space.child_count() - 1);
    assert_eq!(space.format_child(&last), vec!["8"; 28].join("-"));
    assert_eq!(space.index_of(&last), 8u128.pow(28) - 1);
    assert_eq!(space.parse_child(&space.format_child(&last)).unwrap(), last);
}

#[test]
fn a_child_that_the_space_lacks_is_refused_with_the_position_and_what_is_allowed() {
    let space = zhang64();
    let sentence = |text: &str| space.parse_child(text).unwrap_err().to_string();
    assert_eq!(
        sentence("151"),
        "the child `151` has `5` at position 2 (edge 0->2): write one of 1 max_pool_3x3, 2 sep_conv_3x3, 3 sep_conv_5x5, 4 dil_conv_5x5"
    );
    assert_eq!(sentence("11"), "the child `11` has 2 digits, but zhang64 has 3 edges: write one for each, as in `123`");
    for text in ["110", "11x", "11é", "+11", "1 1"] {
        assert!(sentence(text).contains("at position"), "{text}");
    }
    assert!(sentence("").contains("has 0 digits"));
    let text =
        include_str!("../spaces/nasbench201.toml").replace("encoding = \"nasbench201\"", "encoding = \"numbers\"");
    let numbers = Space::from_toml(&text, "numbers.toml").unwrap();
    assert!(numbers.parse_child("1-2-3-4-5-06").unwrap_err().to_string().contains("`06` at position 6 (edge 2->3)"));
    assert!(numbers.parse_child("1-2--4-5-1").unwrap_err().to_string().contains("`` at position 3 (edge 1->2)"));
    assert!(
        numbers.parse_child("123451").unwrap_err().to_string().contains("has 1 numbers, but nasbench201 has 6 edges")
    );
}

#[test]
fn contains_refuses_children_of_other_spaces() {
    let space = zhang64();
    assert!(!space.contains(&Child(vec![0, 0])));
    assert!(!space.contains(&Child(vec![0, 4, 0])));
}

#[test]
fn neighbors_are_all_children_at_distance_one_in_a_fixed_order() {
    let space = zhang64();
    let child = space.parse_child("213").unwrap();
    let neighbors = space.neighbors(&child);
    assert_eq!(written(&space, &neighbors), ["113", "313", "413", "223", "233", "243", "211", "212", "214"]);
    for child in space.enumerate() {
        let neighbors: HashSet<_> = space.neighbors(&child).into_iter().collect();
        let at_distance_one: HashSet<_> =
            space.enumerate().filter(|other| child.hamming_distance(other) == 1).collect();
        assert_eq!(neighbors, at_distance_one);
    }
}

#[test]
fn shared_candidates_and_distance_add_up_to_the_edges() {
    let space = zhang64();
    let (a, b) = (space.parse_child("123").unwrap(), space.parse_child("143").unwrap());
    assert_eq!((a.shared_candidates(&b), a.hamming_distance(&b)), (2, 1));
    assert_eq!((a.shared_candidates(&a), a.hamming_distance(&a)), (3, 0));
}

#[test]
fn a_sample_asks_once_per_edge_in_order_and_takes_what_is_drawn() {
    let space = darts();
    let mut bounds = Vec::new();
    let child = space.sample(&mut |bound| {
        bounds.push(bound);
        bounds.len() as u32 % bound
    });
    assert_eq!(bounds, vec![8; 28]);
    assert_eq!(child.0, (1..=28).map(|draw| draw % 8).collect::<Vec<u8>>());
}

#[test]
fn lists_are_all_every_or_named_children_in_their_order() {
    let space = zhang64();
    assert_eq!(space.parse_children("all").unwrap(), space.enumerate().collect::<Vec<_>>());
    assert_eq!(written(&space, &space.parse_children(" 444, 111 ,123").unwrap()), ["444", "111", "123"]);
    let every = |text: &str| written(&space, &space.parse_children(text).unwrap());
    assert_eq!(every("every:8"), ["111", "132", "213", "234", "321", "342", "423", "444"].map(String::from));
    assert_eq!((every("every:1"), every("every:64").len()), (vec!["111".to_owned()], 64));
}

#[test]
fn every_spreads_over_a_huge_space_and_includes_both_ends() {
    let space = darts();
    let children = space.parse_children("every:1000").unwrap();
    assert!(children.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!((children.len(), space.index_of(&children[999])), (1000, space.child_count() - 1));
}

#[test]
fn a_list_of_a_sample_is_uniform_without_repetition_and_always_the_same() {
    let space = Space::built_in("nasbench201").unwrap();
    let children = space.parse_children("sample:2000").unwrap();
    assert!(children.len() == 2000 && children.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(space.parse_children("sample:2000").unwrap(), children);
    let fewer = space.parse_children("sample:500").unwrap();
    assert!(fewer.len() == 500 && fewer.iter().all(|child| children.binary_search(child).is_ok()));
    // Every candidate on every edge about 400 times: within five standard deviations of a binomial.
    for edge in 0..6 {
        for candidate in 0..5 {
            let count = children.iter().filter(|child| child.0[edge] == candidate).count();
            assert!((400 - 90..=400 + 90).contains(&count), "candidate {candidate} on edge {edge}: {count} times");
        }
    }
    assert_eq!(zhang64().parse_children("sample:64").unwrap(), zhang64().enumerate().collect::<Vec<_>>());
}

#[test]
fn bad_lists_say_what_is_wrong() {
    let space = zhang64();
    let sentence = |text: &str| space.parse_children(text).unwrap_err().to_string();
    assert_eq!(
        sentence(" "),
        "the list of children is empty: write `all`, `every:N`, `sample:N` or children of zhang64 separated by commas, as in `123`"
    );
    assert_eq!(
        sentence("111,222,111"),
        "the child `111` stands twice in the list, at places 1 and 3: name every child once"
    );
    for text in ["every:0", "every:65", "every:", "every:x", "every:-1", "sample:0", "sample:65", "sample:"] {
        assert!(sentence(text).ends_with("choose one from 1 to 64"), "{text}");
    }
    assert!(sentence("111,,222").contains("the child `` has 0 digits"));
    let huge = darts().parse_children("all").unwrap_err().to_string();
    assert!(huge.contains("a list holds 1048576 at most"), "{huge}");
}
