//! `crosstalk search darts`: what it makes of a run's configuration, and what a search leaves.

mod common;

use common::command::{SEARCH, SMALL, Workshop};
use crosstalk::rng::{Purpose, Stream};
use crosstalk::space::Space;
use crosstalk::tensors::TensorFile;
use crosstalk::train::Setup;
use crosstalk::train::config::{RunConfig, from_text};
use std::collections::BTreeSet;

#[test]
fn a_preset_becomes_a_search_and_a_search_stays_as_it_is() {
    let shop = Workshop::new();
    let printed = |arguments: &str| -> toml::Table {
        toml::from_str(&shop.run(&format!("search darts {arguments} --print-config"))).expect("TOML")
    };
    let quick = printed("quick --set architecture.portion=0.4");
    assert_eq!(quick["name"].as_str(), Some("quick-darts"));
    assert_eq!(quick["step"]["children"].as_str(), Some("mixture"));
    assert_eq!(quick["optimizer"]["clip_norm"].as_float(), Some(5.0));
    assert_eq!(quick["architecture"]["portion"].as_float(), Some(0.4));
    assert_eq!(quick["architecture"]["learning_rate"].as_float(), Some(3e-4));
    assert_eq!(quick["evaluation"]["children"].as_str(), Some("derived"));
    assert!(quick["interference"].as_table().is_some_and(|table| table.is_empty()));
    // Its norms, of 64 images each, stay; what is evaluated on the way goes.
    assert_eq!(quick["evaluation"]["norm"].as_array().map(Vec::len), Some(3));
    assert!(!printed("small.toml")["evaluation"].as_table().expect("a table").contains_key("every_steps"));
    assert_eq!(
        printed("nasbench201-small --data digits --set data.shrink=1")["optimizer"]["clip_norm"].as_float(),
        Some(5.0)
    );
    assert_eq!(printed("quick --set optimizer.clip_norm=1.5")["optimizer"]["clip_norm"].as_float(), Some(1.5));

    let own = SMALL.replace("order = \"reshuffled\"", "children = \"mixture\"");
    std::fs::write(shop.path("own.toml"), &own).expect("a file");
    let own = printed("own.toml");
    assert_eq!((own["name"].as_str(), own["evaluation"]["children"].as_str()), (Some("small"), Some("every:4")));
    assert!(!own["optimizer"].as_table().expect("a table").contains_key("clip_norm"));
}

#[test]
fn a_search_moves_its_alphas_every_step_and_leaves_the_child_that_they_make() {
    for space in ["zhang64", "nasbench201"] {
        let shop = Workshop::new();
        let options =
            format!("--set network.space={space} --set network.cells=1 --set architecture.learning_rate=0.05");
        let printed = shop.run(&format!("search darts small.toml --out run --set name=found {options} --steps 10"));
        let found = shop.recorded("run");
        assert!(printed.contains("50 more training images move the architecture parameters"), "{printed}");
        assert!(found.steps.iter().all(|row| row.child.is_none() && row.alpha_loss.is_some_and(f64::is_finite)));
        assert_eq!(found.steps.len(), 10);

        // At the beginning, after every epoch of three steps, and at the end.
        let steps: BTreeSet<u64> = found.alphas.iter().map(|row| row.step).collect();
        assert_eq!(steps, BTreeSet::from([0, 3, 6, 9, 10]));
        let space = Space::built_in(space).expect("a built-in space");
        let edges = space.choices();
        let candidates: usize = edges.iter().sum();
        assert_eq!(found.alphas.len(), 5 * candidates);
        let of = |step: u64| -> Vec<_> { found.alphas.iter().filter(|row| row.step == step).collect() };
        assert!(of(0).iter().all(|row| row.alpha != 0.0 && row.alpha.abs() < 5e-3), "1e-3 * N(0, 1)");
        assert!(of(0).iter().zip(of(10)).all(|(first, last)| first.alpha != last.alpha), "an alpha that did not move");
        let mut derived = Vec::new();
        for edge in of(10).chunks(edges[0]) {
            assert!(edge.iter().all(|row| (row.source, row.target) == (edge[0].source, edge[0].target)));
            assert!((edge.iter().map(|row| row.gate).sum::<f64>() - 1.0).abs() < 1e-12);
            let strongest = edge.iter().max_by(|a, b| a.gate.total_cmp(&b.gate)).expect("candidates");
            let position = edge.iter().position(|row| row.candidate == strongest.candidate);
            derived.push(position.expect("the strongest") as u8);
        }
        let derived = space.format_child(&crosstalk::space::Child(derived));

        let result = std::fs::read_to_string(shop.path("run/result.toml")).expect("a result");
        let result: toml::Table = toml::from_str(&result).expect("TOML");
        let listed: Vec<_> = result["derived"].as_array().expect("a list").iter().map(|child| child.as_str()).collect();
        assert_eq!(listed, [Some(derived.as_str())]);
        assert!(printed.contains(&format!("step 10: the strongest gates make {derived}\n")), "{printed}");
        assert_eq!(found.accuracy.len(), 3, "one child, three regimes");
        assert!(found.accuracy.iter().all(|row| row.child == derived && row.step == 10));
        let evaluated = shop.run("eval run --children derived");
        assert!(evaluated.contains("Evaluated 1 children") && evaluated.contains(&derived), "{evaluated}");
    }
}

#[test]
fn a_mixture_learns_and_its_alphas_make_its_loss_smaller() {
    let shop = Workshop::new();
    let options = "--set network.cells=1 --set data.train_images=1000 --set data.batch=50 --set augmentation.crop_padding=0 \
                   --set augmentation.flip=false --steps 60 --set architecture.learning_rate=0.05";
    let found = shop.train("run", &format!("{SEARCH} {options}"));
    let mean = |rows: &[crosstalk::records::StepRecord], loss: &dyn Fn(&crosstalk::records::StepRecord) -> f64| {
        rows.iter().map(loss).sum::<f64>() / rows.len() as f64
    };
    let alpha_loss = |row: &crosstalk::records::StepRecord| row.alpha_loss.expect("a search");
    let (first, last) = (&found.steps[..10], &found.steps[50..]);
    let [weights, alphas] = [&|row: &crosstalk::records::StepRecord| row.loss, &alpha_loss as &dyn Fn(&_) -> f64]
        .map(|loss| mean(first, loss) - mean(last, loss));
    assert!(weights > 0.5 && alphas > 0.5, "{weights} {alphas}");
}

#[test]
fn cells_that_choose_for_themselves_have_alphas_of_their_own() {
    let shop = Workshop::new();
    let options = "--set network.space=nasbench201 --set network.cells=1 --set network.untied_cells=true --steps 2";
    shop.run(&format!("search darts small.toml --out run {options}"));
    let found = shop.recorded("run");
    let cells: BTreeSet<&str> = found.alphas.iter().map(|row| row.cell.as_str()).collect();
    assert_eq!(cells, BTreeSet::from(["block 0", "block 2", "block 4"]));
    assert_eq!(found.alphas.len(), 2 * 3 * 6 * 5, "before the first step and at the end");
    let file =
        TensorFile::read(&shop.path("run/checkpoints/step-00000002/replica-0.safetensors")).expect("a checkpoint");
    assert_eq!(file.tensors["arch_parameters@block-4"].shape, [6, 5]);
    shop.run("eval run --children derived");
}

#[test]
fn a_search_over_darts_makes_a_child_with_two_edges_a_node() {
    let shop = Workshop::new();
    let options = "--set network.space=darts --set network.cells=3 --set network.channels=4 --steps 2";
    let printed = shop.run(&format!("search darts small.toml --out run {options}"));
    let derived = printed.split_once("the strongest gates make ").expect("a line").1.lines().next().expect("a child");
    let space = Space::built_in("darts").expect("a built-in space");
    let child = space.parse_child(derived).expect("a child");
    let mut rest = child.0.as_slice();
    for node in [2, 3, 4, 5, 2, 3, 4, 5] {
        let (edges, after) = rest.split_at(node);
        rest = after;
        assert_eq!(edges.iter().filter(|candidate| **candidate != 0).count(), 2, "{derived}");
    }
    let file =
        TensorFile::read(&shop.path("run/checkpoints/step-00000002/replica-0.safetensors")).expect("a checkpoint");
    assert_eq!(["alphas_normal", "alphas_reduce"].map(|name| file.tensors[name].shape.clone()), [[14, 8], [14, 8]]);
    assert_eq!(shop.recorded("run").alphas.len(), 2 * 2 * 14 * 8, "before the first step and at the end");
}

#[test]
fn a_run_that_is_no_search_is_not_gone_on_with_as_one() {
    let shop = Workshop::new();
    shop.run("train small.toml --steps 4 --out run");
    std::fs::remove_file(shop.path("run/result.toml")).expect("a file");
    let error = shop.refused("search darts --resume run");
    assert!(error.contains("the run in run is no search") && error.contains("crosstalk train --resume run"), "{error}");
    shop.run("train --resume run");
}

#[test]
fn alphas_without_a_name_in_the_space_are_called_after_their_cell() {
    let mut space = Space::built_in("zhang64").expect("a built-in space");
    space.cells.values_mut().for_each(|cell| cell.alphas = None);
    let tensors = space.alpha_tensors();
    assert_eq!((tensors.len(), tensors[0].name.as_str(), tensors[0].slots.clone()), (1, "alphas_cell", 0..3));
}

fn setup(options: &[&str]) -> Setup {
    let config: RunConfig = from_text(SMALL, "small", &options.iter().map(|o| (*o).to_owned()).collect::<Vec<_>>())
        .expect("a configuration");
    Setup::new(config).expect("a setup")
}

#[test]
fn weights_and_alphas_never_see_the_same_image() {
    let mixture = ["step.children=mixture", "step.order=lexicographic", "architecture.portion=0.3"];
    for order in ["shuffled", "file"] {
        let order = format!("data.order={order}");
        let setup = setup(&[&mixture[..], &[&order]].concat());
        let seen = |mut stream: crosstalk::data::BatchStream| -> BTreeSet<u32> {
            (0..20).flat_map(|step| stream.mini_batch(step).expect("a mini-batch").images).collect()
        };
        let weights = seen(setup.stream(7).expect("a stream"));
        let alphas = seen(setup.alpha_stream(8).expect("a stream").expect("a search"));
        assert_eq!(weights, (0..30).collect(), "{order}");
        assert_eq!(alphas, (30..100).collect(), "{order}");
    }
    assert!(setup(&[]).alpha_stream(8).expect("nothing wrong").is_none());
}

#[test]
fn weights_and_alphas_step_on_mini_batches_of_their_own() {
    // Alphas that stay, and weights that stay: what a step loses then is a matter of its own mini-batch alone.
    let shop = Workshop::new();
    let still = "--set architecture.learning_rate=0 --set architecture.weight_decay=0 --set optimizer.learning_rate=0 \
                 --set optimizer.minimum_learning_rate=0";
    let found = shop.train("run", &format!("{SEARCH} {still}"));
    let losses: BTreeSet<u64> = found.steps.iter().map(|row| row.loss.to_bits()).collect();
    let of_alphas: BTreeSet<u64> = found.steps.iter().map(|row| row.alpha_loss.expect("a search").to_bits()).collect();
    assert_eq!((losses.len(), of_alphas.len(), losses.intersection(&of_alphas).count()), (12, 12, 0));
    assert_eq!(found.alphas.first().map(|row| row.alpha), found.alphas[12 * 4..].first().map(|row| row.alpha));
}

#[test]
fn alphas_travel_in_checkpoints_under_official_names() {
    let shop = Workshop::new();
    let first = shop.train("first", SEARCH);
    let path = shop.path("first/checkpoints/step-00000012/replica-0.safetensors");
    let file = TensorFile::read(&path).expect("a checkpoint");
    let stored: Vec<f64> =
        ["alpha_normal.0", "alpha_normal.1"].iter().flat_map(|name| file.tensors[*name].values.iter_f64()).collect();
    let last: Vec<f64> = first.alphas.iter().filter(|row| row.step == 12).map(|row| row.alpha).collect();
    assert_eq!(stored, last);

    // A search from the checkpoint goes on with its alphas and what Adam remembers; one from its weights starts with its alphas.
    for (name, arguments) in [("on", "--from first --steps 3"), ("anew", "small.toml --from first --steps 3")] {
        shop.run(&format!("search darts {arguments} --out {name} --set architecture.learning_rate=0.05"));
        let begun: Vec<f64> = shop.recorded(name).alphas[..12].iter().map(|row| row.alpha).collect();
        assert_eq!(begun, last, "{arguments}");
    }
    // One whole run, or its half and what goes on from there with the same rate: the alphas are the same if their moments travel.
    let constant = format!("{SEARCH} --set optimizer.schedule=constant");
    let whole = shop.train("whole", &format!("{constant} --steps 6"));
    shop.train("half", &format!("{constant} --steps 3"));
    shop.run("search darts --from half --steps 3 --out onward");
    assert_eq!(shop.recorded("onward").state_hash, whole.state_hash);

    // Sampled children do without.
    shop.run("train --from first --children 111,234 --steps 2 --out sampled");
    assert!(shop.recorded("sampled").alphas.is_empty());
    shop.run("train small.toml --from first --steps 2 --out preset");

    // Alphas belong to the state that the hash speaks for.
    let mut changed = file.clone();
    let mut stream = Stream::new(0, Purpose::InitialAlphas, 0, 0);
    let values = (0..4).map(|_| stream.normal()).collect();
    changed.tensors.get_mut("alpha_normal.0").expect("alphas").values = crosstalk::tensors::Values::F64(values);
    changed.write(&path).expect("a file");
    let error = shop.refused("eval first");
    assert!(error.contains("does not have the state that it was written with"), "{error}");
}
