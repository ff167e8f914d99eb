//! `crosstalk metrics` on tables as other tools write them.

mod common;

use arrow_array::{ArrayRef, BooleanArray, Float32Array, Int32Array, RecordBatch};
use common::command::Workshop;
use crosstalk::records::{AccuracyRecord, write_parquet};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::Value;
use std::sync::Arc;

/// Four children whose truth rises; the prediction swaps the last two: 5 of 6 pairs agree.
const TRUTH: &str = "child,accuracy\n111,0.1\n112,0.2\n113,0.3\n114,0.4\n";
const PREDICTED: &str = "child,accuracy\n111,10\n112,20\n113,40\n114,30\n";

fn workshop(files: &[(&str, &str)]) -> Workshop {
    let shop = Workshop::new();
    files.iter().for_each(|(name, text)| std::fs::write(shop.path(name), text).expect("a file"));
    shop
}

fn json(shop: &Workshop, arguments: &str) -> Value {
    serde_json::from_str(&shop.run(&format!("metrics --json --bootstrap 20 {arguments}"))).expect("JSON")
}

/// A measure of the first regime.
fn value(report: &Value, measure: &str) -> Option<f64> {
    let measures = &report["results"][0]["measures"];
    let found = measures.get(measure).unwrap_or_else(|| panic!("no {measure} in {measures}"));
    found["value"].as_f64()
}

/// What is refused of a truth and a prediction, without the start of the sentence.
fn refused(truth: &str, predicted: &str, options: &str) -> String {
    let shop = workshop(&[("t.csv", truth), ("p.csv", predicted)]);
    shop.refused(&format!("metrics --truth t.csv --predicted p.csv {options}")).trim_end().to_owned()
}

#[test]
fn losses_rank_from_the_lowest_where_they_are_said_to() {
    let losses = "child,loss\n111,4\n112,3\n113,1\n114,2\n";
    let shop = workshop(&[("t.csv", TRUTH), ("p.csv", PREDICTED), ("l.csv", losses)]);
    let tau = |arguments: &str| value(&json(&shop, arguments), "tau");
    assert_eq!(tau("--truth t.csv --predicted l.csv"), Some(-4.0 / 6.0));
    let lower = json(&shop, "--truth t.csv --predicted l.csv --lower-is-better predicted");
    let of_accuracies = json(&shop, "--truth t.csv --predicted p.csv");
    for measure in ["tau", "spearman", "pearson", "top_1_rank", "tau_inside_top_50_percent"] {
        assert_eq!(value(&lower, measure), value(&of_accuracies, measure), "{measure}");
    }
    assert_eq!(lower["predicted"]["lower_is_better"], true);
    assert_eq!(tau("--truth l.csv --predicted l.csv --lower-is-better truth,predicted"), Some(1.0));
    assert_eq!(tau("--truth l.csv --predicted p.csv --lower-is-better truth"), Some(1.0));
    let text = shop.run("metrics --truth t.csv --predicted l.csv --lower-is-better predicted --plots plots");
    assert!(text.contains("predicted  l.csv, `loss`, lower is better"), "{text}");
    let plot = std::fs::read_to_string(shop.path("plots/scatter.svg")).expect("a plot");
    assert!(plot.contains("predicted: loss (lower is better)") && plot.contains("truth: accuracy (%)"));
}

#[test]
fn every_measure_of_two_tables_is_in_the_json() {
    let shop = workshop(&[("t.csv", TRUTH), ("p.csv", PREDICTED)]);
    let report = json(&shop, "--truth t.csv --predicted p.csv --top 2");
    let close = |measure: &str, expected: f64| {
        let found = value(&report, measure).expect("defined");
        assert!((found - expected).abs() < 1e-12, "{measure}: {found} instead of {expected}");
    };
    close("tau", 4.0 / 6.0);
    close("spearman", 0.8);
    close("pearson", 0.8);
    close("sparse_tau", 4.0 / 6.0);
    close("tau_inside_top_50_percent", -1.0);
    assert_eq!(value(&report, "tau_inside_top_10_percent"), None, "one child has no order");
    close("top_1_rank", 2.0);
    close("top_3_rank", 1.0);
    close("precision_at_top_2", 1.0);
    close("precision_at_bottom_2", 1.0);
    close("best_rank_at_2", 1.0);
    close("worst_rank_at_2", 2.0);
    close("surpass_random_1", 0.5);
    assert_eq!(report["results"][0]["children"], 4);
    assert_eq!(report["results"][0]["noise_ceiling"], Value::Null);
}

#[test]
fn equal_tables_agree_and_constants_are_undefined() {
    let shop = workshop(&[("t.csv", TRUTH), ("c.csv", "child,accuracy\n111,1\n112,1\n113,1\n114,1\n")]);
    let same = json(&shop, "--truth t.csv --predicted t.csv");
    assert_eq!([value(&same, "tau"), value(&same, "top_1_rank")], [Some(1.0), Some(1.0)]);
    let constant = json(&shop, "--truth t.csv --predicted c.csv");
    assert_eq!([value(&constant, "tau"), value(&constant, "pearson")], [None, None]);
    let printed = shop.run("metrics --truth t.csv --predicted c.csv");
    let tau = printed.lines().find(|line| line.starts_with("Kendall's tau-b")).expect("tau");
    assert!(tau.ends_with("undefined"), "{printed}");
}

#[test]
fn intervals_are_the_same_every_time_and_for_any_number_of_threads() {
    let shop = workshop(&[]);
    let rows = |name: &str, factor: usize| {
        let rows: Vec<String> = (0..40).map(|child| format!("{child}x,{}", child * factor % 41)).collect();
        std::fs::write(shop.path(name), format!("arch,top1\n{}\n", rows.join("\n"))).expect("a file");
    };
    rows("t.csv", 7);
    rows("p.csv", 9);
    let arguments = "metrics --json --truth t.csv --predicted p.csv --bootstrap 300";
    let with_threads = |threads: &str| {
        let output = shop.command(arguments).env("RAYON_NUM_THREADS", threads).output().expect("the program starts");
        String::from_utf8(output.stdout).expect("text")
    };
    let one = with_threads("1");
    assert_eq!(one, with_threads("3"));
    assert_ne!(one, shop.run(&format!("{arguments} --seed 1")));
    let report: Value = serde_json::from_str(&one).expect("JSON");
    let tau = &report["results"][0]["measures"]["tau"];
    let ends = [&tau["low"], &tau["value"], &tau["high"]].map(|number| number.as_f64().expect("a number"));
    assert!(ends.is_sorted() && ends[0] < ends[2], "{ends:?}");
    let wider: Value = serde_json::from_str(&shop.run(&format!("{arguments} --confidence 0.99"))).expect("JSON");
    assert!(wider["results"][0]["measures"]["tau"]["low"].as_f64() < Some(ends[0]));
    let without: Value = serde_json::from_str(&shop.run(&arguments.replace("300", "0"))).expect("JSON");
    assert_eq!(without["results"][0]["measures"]["tau"]["low"], Value::Null);
}

#[test]
fn children_missing_on_one_side_are_counted_and_left_out() {
    let shop = workshop(&[("t.csv", TRUTH), ("p.csv", "child,accuracy\n113,3\n111,1\n115,9\n112,\n")]);
    let results = &json(&shop, "--truth t.csv --predicted p.csv")["results"][0];
    assert_eq!([&results["children"], &results["children_without_truth"]], [2, 1]);
    assert_eq!(results["children_without_prediction"], 2);
    let printed = shop.run("metrics --truth t.csv --predicted p.csv");
    let line = "2 children joined; left out: 2 with a truth but no prediction, 1 predicted without a truth";
    assert!(printed.contains(line), "{printed}");
}

#[test]
fn a_space_joins_children_by_what_they_are_and_says_where_one_does_not_parse() {
    let error = refused(TRUTH, "child,accuracy\n111,1\n115,2\n", "--space zhang64");
    assert!(error.contains("p.csv, line 3: the child `115` has `5` at position 3 (edge 1->2)"), "{error}");
    let shop = workshop(&[("t.csv", TRUTH), ("p.csv", PREDICTED)]);
    let report = json(&shop, "--truth t.csv --predicted p.csv --space zhang64");
    assert_eq!(report["space"], "zhang64");
    assert!(shop.refused("metrics --truth t.csv --predicted p.csv --space zhang65").contains("zhang65"));
}

/// Four children of nasbench201: all edges are `none` but the one from input to output, which takes candidates 0 to 3.
const NASBENCH201: [&str; 4] = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3"];

fn nasbench201_string(candidate: &str) -> String {
    format!("|none~0|+|none~0|none~1|+|{candidate}~0|none~1|none~2|")
}

#[test]
fn children_of_nasbench201_are_joined_in_any_notation() {
    let strings: String = (0..4).map(|i| format!("{},{i}\n", nasbench201_string(NASBENCH201[i]))).collect();
    // Base 5, the fourth of six edges; and NASLib's order and numbers of candidates.
    let indices: String = (0..4).map(|i| format!("{},{i}\n", i * 25)).collect();
    let naslib: String = [1, 0, 3, 2].iter().enumerate().map(|(i, k)| format!("\"[1,1,{k},1,1,1]\",{i}\n")).collect();
    let table = |rows: &str| format!("arch,accuracy\n{rows}");
    let shop = workshop(&[("s.csv", &table(&strings)), ("i.csv", &table(&indices)), ("n.csv", &table(&naslib))]);
    for other in ["i.csv", "n.csv"] {
        let report = json(&shop, &format!("--truth s.csv --predicted {other} --space nasbench201 --child arch"));
        assert_eq!(report["results"][0]["children"], 4, "{other}");
        assert_eq!(value(&report, "tau"), Some(1.0), "{other}");
    }
}

#[test]
fn a_second_measurement_of_the_truth_gives_the_ceiling() {
    let second = "child,accuracy\n111,0.1\n112,0.3\n113,0.2\n114,0.4\n";
    let shop = workshop(&[
        ("t.csv", TRUTH),
        ("p.csv", PREDICTED),
        ("s.csv", second),
        ("other.csv", "child,accuracy\n444,1\n"),
    ]);
    let report = json(&shop, "--truth t.csv --predicted p.csv --second-truth s.csv");
    let results = &report["results"][0];
    let ceiling = results["noise_ceiling"]["run_with_others"].as_f64().expect("a ceiling");
    assert!((ceiling - 4.0 / 6.0).abs() < 1e-12, "{ceiling}");
    assert_eq!(report["second_truth"]["file"], "s.csv");
    let share = results["measures"]["tau"]["share_of_ceiling"].as_f64().expect("a share");
    assert!((share - 1.0).abs() < 1e-12, "{share}");
    let printed = shop.run("metrics --truth t.csv --predicted p.csv --second-truth s.csv");
    assert!(printed.contains("second measurement in s.csv, `accuracy`, of 4 children: tau 0.6667"), "{printed}");
    let error = shop.refused("metrics --truth t.csv --predicted p.csv --second-truth other.csv");
    assert!(error.contains("other.csv has 0 of the joined children, too few for a noise ceiling"), "{error}");
    let runs = "child,run,accuracy\n111,0,1\n112,0,2\n111,1,1\n112,1,2\n";
    let error = refused(runs, PREDICTED, "--second-truth t.csv");
    assert!(error.contains("t.csv holds 2 stand-alone runs"), "{error}");
}

#[test]
fn what_a_prediction_favours_is_told_by_candidate_and_by_cost() {
    // On that edge the truth has 3x3 > 1x1 > skip > none; the prediction has it the other way round, but for a tie of 1x1 and skip.
    let rows = |values: [&str; 4]| -> String {
        (0..4).map(|i| format!("{},{}\n", nasbench201_string(NASBENCH201[i]), values[i])).collect()
    };
    let table = |values| format!("arch,accuracy\n{}", rows(values));
    let (truth, predicted) = (table(["1", "2", "3", "4"]), table(["9", "5", "5", "1"]));
    let shop = workshop(&[("t.csv", &truth), ("p.csv", &predicted)]);
    let report = json(&shop, "--truth t.csv --predicted p.csv --space nasbench201");
    let bias = &report["results"][0]["bias"];
    let pairs = bias["by_candidates"].as_array().expect("pairs");
    assert_eq!(pairs.len(), 6);
    let shares = |first: &str, second: &str| {
        let pair = pairs.iter().find(|pair| pair["candidate"] == first && pair["other"] == second).expect("a pair");
        assert_eq!(pair["pairs"], 1);
        [&pair["better_by_truth"], &pair["better_by_prediction"]].map(|share| share.as_f64().expect("a share"))
    };
    assert_eq!(shares("none", "nor_conv_3x3"), [0.0, 1.0]);
    assert_eq!(shares("skip_connect", "nor_conv_1x1"), [0.0, 0.5]);
    // Ranks too high by 3, 0.5, -0.5 and -3, against costs that rise.
    let complexity = bias["complexity"].as_f64().expect("defined");
    assert!((complexity + 1.0).abs() < 1e-12, "{complexity}");
    assert_eq!(json(&shop, "--truth t.csv --predicted p.csv")["results"][0]["bias"], Value::Null);
}

#[test]
fn tables_without_a_common_child_are_refused_with_examples() {
    let error = refused(TRUTH, "child,accuracy\na,1\nb,2\n", "");
    assert!(error.contains("no child of t.csv is in p.csv: the first call theirs `111`, `112`, `113`"), "{error}");
    assert!(error.contains("the second `a`, `b`") && error.contains("--space"), "{error}");
}

#[test]
fn bad_cells_and_rows_are_named() {
    let number = "p.csv, line 3, child `112`: `inf` in column `accuracy` is no finite number";
    assert!(refused(TRUTH, "child,accuracy\n111,1\n112,inf\n", "").contains(number));
    let number = "p.csv, line 2, child `111`: `NaN` in column `accuracy` is no finite number";
    assert!(refused(TRUTH, "child,accuracy\n111,NaN\n112,1\n", "").contains(number));
    let twice = "p.csv has the child `111` twice, in line 2 and line 4";
    assert!(refused(TRUTH, "child,accuracy\n111,1\n112,2\n111,3\n", "").contains(twice));
    let twice = "p.csv has the child `111` twice at epoch 5, in line 2 and line 3";
    assert!(refused(TRUTH, "child,epoch,accuracy\n111,5,1\n111,5,2\n", "").contains(twice));
    let missing = "p.csv, line 3: the child is missing in column `child`";
    assert!(refused(TRUTH, "child,accuracy\n111,1\n,2\n", "").contains(missing));
    assert!(refused(TRUTH, "child,accuracy\n111,1,7\n", "").contains("p.csv, line 2: it has 3 cells"));
    assert!(refused(TRUTH, "child,accuracy\n", "").contains("p.csv has no rows"));
    assert!(refused(TRUTH, "child,accuracy\n111,\n", "").contains("p.csv has no accuracy in `accuracy`"));
    assert!(refused(TRUTH, "", "").contains("p.csv has no rows"));
    assert!(refused(TRUTH, "child,a,a\n111,1,2\n", "").contains("p.csv names the column `a` twice"));
    assert!(refused(TRUTH, "PAR1 but nothing more", "").contains("p.csv is a damaged or unusual Parquet file"));
}

#[test]
fn columns_that_cannot_be_told_are_listed() {
    let error = refused(TRUTH, "arch,val,test\n111,1,2\n", "");
    assert!(error.contains("Name one after a colon, as in `p.csv:val`; there are `arch`, `val`, `test`"), "{error}");
    let shop = workshop(&[("t.csv", TRUTH), ("p.csv", "arch,val,test\n111,1,2\n112,2,1\n")]);
    assert_eq!(value(&json(&shop, "--truth t.csv --predicted p.csv:val"), "tau"), Some(1.0));
    assert_eq!(value(&json(&shop, "--truth t.csv --predicted p.csv:test"), "tau"), Some(-1.0));
    let error = shop.refused("metrics --truth t.csv --predicted p.csv:nothing");
    assert!(error.contains("p.csv has no column `nothing`; it has `arch`, `val`, `test`"), "{error}");
    let error = shop.refused("metrics --truth t.csv --predicted p.csv:val --child network");
    assert!(error.contains("has no column `network`"), "{error}");
    let error = shop.refused("metrics --truth t.csv --predicted p.csv:val --run shard");
    assert!(error.contains("neither table has the column `shard`"), "{error}");
    assert!(shop.refused("metrics --truth t.csv --predicted missing.csv:val").contains("cannot read missing.csv"));
}

/// Two records of four children: in the first tau is -1, in the second 1.
const RISING: [f64; 4] = [1.0, 2.0, 3.0, 4.0];
const FALLING: [f64; 4] = [8.0, 6.0, 4.0, 2.0];

#[test]
fn wide_long_and_transposed_tables_say_the_same_over_time() {
    let children = ["111", "112", "113", "114"];
    let mut wide = "child,epoch_10,epoch_9\n".to_owned();
    let mut long = "epoch,child,accuracy\n".to_owned();
    for (index, child) in children.iter().enumerate() {
        wide += &format!("{child},{},{}\n", RISING[index], FALLING[index]);
        long += &format!("10,{child},{}\n9,{child},{}\n", RISING[index], FALLING[index]);
    }
    let line = |epoch: u32, values: [f64; 4]| format!("{epoch},{}\n", values.map(|value| value.to_string()).join(","));
    let transposed = format!("epoch,{}\n{}{}", children.join(","), line(10, RISING), line(9, FALLING));
    let shop = workshop(&[("t.csv", TRUTH), ("wide.csv", &wide), ("long.csv", &long), ("transposed.csv", &transposed)]);
    for table in ["wide.csv", "wide.csv:epoch_*", "wide.csv:epoch_9,epoch_10", "long.csv", "transposed.csv"] {
        let report = json(&shop, &format!("--truth t.csv --predicted {table}"));
        assert_eq!(value(&report, "tau"), Some(1.0), "{table}: the last record counts");
        assert_eq!(value(&report, "gt_tau_mean_2"), Some(0.0));
        assert_eq!(value(&report, "gt_tau_std_2"), Some(1.0));
        assert_eq!(value(&report, "s_tau_records_2"), Some(-1.0));
        assert_eq!(value(&report, "consecutive_tau_2"), Some(-1.0));
        // The means are 4.5, 4, 3.5, 3.
        assert_eq!(value(&report, "ensemble_tau_2"), Some(-1.0));
        assert_eq!(value(&report, "top_1_rank_mean_2"), Some(2.5));
        let records = &report["results"][0]["over_time"][0]["records"];
        assert_eq!([&records[0]["gt_tau"], &records[1]["gt_tau"]], [-1.0, 1.0], "{table}");
        assert_eq!([&records[0]["top_1_rank"], &records[1]["consecutive_tau"]], [4.0, -1.0], "{table}");
        let only_last = json(&shop, &format!("--truth t.csv --predicted {table} --last 1"));
        assert!(only_last["results"][0]["measures"].get("gt_tau_mean_1").is_none());
    }
}

#[test]
fn several_runs_give_s_tau_and_a_spread() {
    let mut predicted = "seed,child,accuracy\n".to_owned();
    for (index, child) in ["111", "112", "113", "114"].iter().enumerate() {
        predicted += &format!("0,{child},{}\n1,{child},{}\n", RISING[index], FALLING[index]);
    }
    let shop = workshop(&[("t.csv", TRUTH), ("p.csv", &predicted)]);
    let report = json(&shop, "--truth t.csv --predicted p.csv");
    let tau = &report["results"][0]["measures"]["tau"];
    assert_eq!([&tau["value"], &tau["std"], &tau["lowest"], &tau["highest"]], [0.0, 1.0, -1.0, 1.0]);
    assert_eq!(value(&report, "s_tau_runs"), Some(-1.0));
    let printed = shop.run("metrics --truth t.csv --predicted p.csv");
    assert!(printed.contains("S-Tau of 2 runs") && printed.contains("std of runs"), "{printed}");
}

#[test]
fn several_runs_of_the_truth_give_a_noise_ceiling() {
    let wide = "child,seed_1,seed_2,seed_3\n111,1,1,2\n112,2,2,1\n113,3,3,3\n114,4,4,\n";
    let shop = workshop(&[("t.csv", wide), ("p.csv", PREDICTED)]);
    let report = json(&shop, "--truth t.csv --predicted p.csv");
    let ceiling = &report["results"][0]["noise_ceiling"];
    assert_eq!([&ceiling["runs"], &ceiling["children"]], [3, 3]);
    // Over 111, 112 and 113: two runs agree in all three pairs, the third in two of them.
    let two_runs = (1.0 + 1.0 / 3.0 + 1.0 / 3.0) / 3.0;
    assert!((ceiling["run_with_run"].as_f64().expect("a number") - two_runs).abs() < 1e-12);
    // The first two with the mean of the others: (1.5, 1.5, 3), tied once.
    let with_others = (2.0 * 2.0 / 6.0_f64.sqrt() + 1.0 / 3.0) / 3.0;
    assert!((ceiling["run_with_others"].as_f64().expect("a number") - with_others).abs() < 1e-12);
    let tau = &report["results"][0]["measures"]["tau"];
    let share = tau["share_of_ceiling"].as_f64().expect("a share");
    assert!((share - tau["value"].as_f64().expect("a tau") / with_others).abs() < 1e-12);
    assert_eq!(report["results"][0]["children"], 4, "the truth of the fourth child is the mean of two runs");
    assert!((tau["value"].as_f64().expect("a tau") - 4.0 / 6.0).abs() < 1e-12);
    assert_eq!(report["truth"]["column"], "seed_1 to seed_3");
    assert!(shop.run("metrics --truth t.csv --predicted p.csv").contains("Noise ceiling from 3 stand-alone runs"));
}

/// The accuracy table of a run: two steps, two regimes.
fn run_records() -> Vec<AccuracyRecord> {
    let mut rows = Vec::new();
    for (step, norm) in [(10, "batch"), (10, "running"), (20, "batch"), (20, "running"), (30, "batch"), (30, "running")]
    {
        for (index, child) in ["111", "112", "113", "114"].iter().enumerate() {
            let values = if norm == "batch" { RISING } else { FALLING };
            let accuracy = (values[index] * f64::from(step as u32)).sqrt() / 100.0;
            let (child, norm) = ((*child).to_owned(), norm.to_owned());
            rows.push(AccuracyRecord { step, replica: 0, child, norm, loss: 1.0, accuracy, correct: 1, images: 10 });
        }
    }
    rows
}

#[test]
fn a_runs_own_parquet_is_read_and_every_regime_reported() {
    let shop = workshop(&[("t.csv", TRUTH)]);
    write_parquet(&shop.path("accuracy.parquet"), &run_records()).expect("a file");
    let report = json(&shop, "--truth t.csv --predicted accuracy.parquet --space zhang64");
    let results = report["results"].as_array().expect("an array");
    let norms: Vec<&Value> = results.iter().map(|results| &results["norm"]).collect();
    assert_eq!(norms, ["batch", "running"]);
    let taus = results.iter().map(|results| results["measures"]["tau"]["value"].as_f64());
    assert!(taus.eq([Some(1.0), Some(-1.0)]));
    let movement = &results[0]["co_movement"];
    assert_eq!(movement["all"]["pairs"], 6);
    assert!(movement["all"]["correlation"].as_f64() > Some(0.999), "all rise with the step");
    assert_eq!(movement["by_shared_candidates"][2]["pairs"], 6);
    assert_eq!(movement["by_edge"][2]["different"]["pairs"], 6);
    let one = json(&shop, "--truth t.csv --predicted accuracy.parquet --norm running");
    assert_eq!(value(&one, "tau"), Some(-1.0));
    let error = shop.refused("metrics --truth t.csv --predicted accuracy.parquet --norm recalibrated");
    assert!(error.contains("has no results under `recalibrated`; its regimes are batch, running"), "{error}");
    let error = shop.refused("metrics --truth accuracy.parquet --predicted accuracy.parquet");
    assert!(error.contains("regimes batch, running; choose one with --truth-norm"), "{error}");
    shop.run("metrics --truth accuracy.parquet --truth-norm batch --predicted accuracy.parquet");
    let error = shop.refused("metrics --truth t.csv --predicted t.csv --norm batch");
    assert!(error.contains("t.csv has no column `norm` that tells regimes apart; leave --norm out"), "{error}");
}

/// Columns of small types, without an Arrow schema, compressed as polars does.
#[test]
fn parquet_of_other_tools_is_read() {
    let shop = workshop(&[("t.csv", TRUTH)]);
    for (name, compression) in [
        ("zstd", Compression::ZSTD(Default::default())),
        ("gzip", Compression::GZIP(Default::default())),
        ("lz4", Compression::LZ4_RAW),
    ] {
        let children: ArrayRef = Arc::new(Int32Array::from(vec![111, 112, 113, 114]));
        let accuracies: ArrayRef = Arc::new(Float32Array::from(vec![Some(0.1), Some(0.2), None, Some(0.25)]));
        let flags: ArrayRef = Arc::new(BooleanArray::from(vec![true, false, true, false]));
        let batch = RecordBatch::try_from_iter([("child", children), ("top1", accuracies), ("flag", flags)]);
        let batch = batch.expect("a batch");
        let properties = WriterProperties::builder().set_compression(compression).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).expect("a writer");
        writer.write(&batch).expect("written");
        std::fs::write(shop.path(name), writer.into_inner().expect("bytes")).expect("a file");
        let report = json(&shop, &format!("--truth t.csv --predicted {name} --space zhang64"));
        assert_eq!(value(&report, "tau"), Some(1.0), "{name}");
        assert_eq!(report["results"][0]["children"], 3, "{name}: a null is no accuracy");
        assert_eq!(report["predicted"]["column"], "top1");
    }
}

#[test]
fn a_child_that_some_records_lack_is_left_out_of_all() {
    let shop =
        workshop(&[("t.csv", TRUTH), ("p.csv", "step,child,accuracy\n1,111,1\n1,112,2\n2,111,1\n2,112,2\n2,113,3\n")]);
    let results = &json(&shop, "--truth t.csv --predicted p.csv")["results"][0];
    assert_eq!([&results["children"], &results["children_not_in_every_record"]], [2, 1]);
    let error = refused(TRUTH, "step,child,accuracy\n1,111,1\n2,112,2\n", "");
    assert!(error.contains("no child has an accuracy in every record"), "{error}");
}

#[test]
fn plots_are_deterministic_and_labeled() {
    let shop = workshop(&[("t.csv", "")]);
    let rows: Vec<String> = (0..60).map(|child| format!("c{child},0.{:02}", child + 20)).collect();
    std::fs::write(shop.path("t.csv"), format!("child,accuracy\n{}\n", rows.join("\n"))).expect("a file");
    let command = "metrics --truth t.csv --predicted t.csv --bootstrap 50 --plots";
    let printed = shop.run(&format!("{command} plots"));
    assert!(printed.contains("Stored in plots/scatter.svg\nStored in plots/tau-inside-top.svg"), "{printed}");
    shop.run(&format!("{command} again/deep"));
    for name in ["scatter.svg", "tau-inside-top.svg"] {
        let svg = std::fs::read_to_string(shop.path("plots").join(name)).expect("a plot");
        assert_eq!(svg, std::fs::read_to_string(shop.path("again/deep").join(name)).expect("a plot"));
    }
    let read = |name: &str| std::fs::read_to_string(shop.path("plots").join(name)).expect("a plot");
    for text in ["truth: accuracy (%)", "predicted: accuracy (%)", "60 children, tau-b 1.000", "true top 10 %"] {
        assert!(read("scatter.svg").contains(text), "{text}");
    }
    for text in ["true top (% of the children)", "tau-b inside the true top", "95 % bootstrap interval"] {
        assert!(read("tau-inside-top.svg").contains(text), "{text}");
    }
}

#[test]
fn numbers_on_the_command_line_are_checked() {
    let shop = workshop(&[("t.csv", TRUTH)]);
    for wrong in
        ["--top 0", "--top 0%", "--top 101%", "--confidence 1", "--confidence 95", "--last 0", "--bootstrap -1"]
    {
        let output =
            shop.command(&format!("metrics --truth t.csv --predicted t.csv {wrong}")).output().expect("started");
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
    shop.run("metrics --truth t.csv --predicted t.csv --top 1,50%,4");
    let error = shop.refused("metrics --truth t.csv --predicted t.csv --top 1,5");
    assert!(error.contains("--top 5 is more than the 4 children that both tables have"), "{error}");
}
