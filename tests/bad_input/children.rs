//! Children that the space or the run lacks.

use crate::common::command::Workshop;
use crate::{files, names, not_begun, refused};

#[test]
fn a_child_that_the_space_lacks_is_refused_before_anything_is_trained() {
    let shop = Workshop::new();
    let nine = ["`119` has `9` at position 3", "write one of 1 max_pool_3x3"];
    not_begun(&shop, "small.toml --children 119", &nine);
    not_begun(&shop, "small.toml --set step.order=[\"119\"]", &nine);
    not_begun(&shop, "small.toml --set evaluation.children=119", &nine);
    not_begun(&shop, "small.toml --set interference.children=119", &nine);
    not_begun(&shop, "small.toml --set evaluation.children=every:0", &["`every:0`", "choose one from 1 to 64"]);
    let private = "small.toml --set network.sharing=none --children 111 --set evaluation.children=112";
    not_begun(&shop, private, &["`evaluation.children` asks for", "child 112 has no private copy"]);
    let measured = "small.toml --set network.sharing=none --children 111 --set interference.children=112";
    not_begun(&shop, measured, &["`interference.children` asks for", "child 112 has no private copy"]);
    let order = "small.toml --set network.sharing=none --set step.order=[\"111\",\"213\"]";
    not_begun(&shop, order, &["`evaluation.children` asks for", "child 222 has no private copy"]);
    shop.train("run", "");
    let before = (files(&shop.path("run")), names(&shop.path("run")));
    for command in ["eval", "interfere"] {
        refused(&shop, &format!("{command} run --children 119"), &nine);
        refused(&shop, &format!("{command} run --children 11"), &["`11` has 2 digits", "zhang64 has 3 edges"]);
        refused(&shop, &format!("{command} run --norm batch,batch"), &["`--norm`", "the regime batch twice"]);
    }
    assert_eq!((files(&shop.path("run")), names(&shop.path("run"))), before);
}

#[test]
fn zero_children_are_refused() {
    let shop = Workshop::new();
    not_begun(&shop, "small.toml --set step.order=[]", &["`step.order` is an empty list", "name at least one child"]);
    not_begun(&shop, "small.toml --children=", &["the list of children is empty", "`all`, `every:N`, `sample:N`"]);
    not_begun(&shop, "small.toml --set evaluation.children=", &["the list of children is empty", "zhang64"]);
    not_begun(&shop, "small.toml --set interference.children=", &["the list of children is empty", "zhang64"]);
    shop.train("run", "");
    for command in ["eval", "interfere"] {
        refused(&shop, &format!("{command} run --children="), &["the list of children is empty"]);
    }
}
