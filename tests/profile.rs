//! `crosstalk profile`: its window, what is predicted for it, and what ncu measured beside the plan.

mod common;

use common::command::Workshop;
use serde_json::Value;

/// Two children in turn, small enough for the emulator.
const TINY: &str =
    "quick --set step.order=['111','243'] --set network.cells=1 --set network.channels=4 --set data.batch=2";

fn json(shop: &Workshop, arguments: &str) -> Value {
    serde_json::from_str(&shop.run(&format!("{arguments} --json"))).expect("JSON")
}

fn real(row: &Value, key: &str) -> f64 {
    row[key].as_f64().unwrap_or_else(|| panic!("{key} of {row}"))
}

fn count(row: &Value, key: &str) -> u64 {
    row[key].as_u64().unwrap_or_else(|| panic!("{key} of {row}"))
}

fn rows(table: &Value) -> &[Value] {
    table["kernels"].as_array().expect("rows")
}

fn close(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() < 1e-9
}

#[cfg(unix)]
#[test]
fn the_window_on_the_emulator_is_timed_beside_the_plan_of_its_own_steps_and_leaves_no_folder() {
    let shop = Workshop::new();
    let window = |steps: &str| json(&shop, &format!("profile {TINY} --device emulator --device-facts a100 {steps}"));
    let plan = |child: &str| {
        let plan = json(&shop, &format!("plan {TINY} --set step.order=['{child}'] --device a100 --precision f32"));
        real(&plan, "predicted_seconds")
    };
    let second = window("--warm-up 1 --steps 1");
    assert_eq!((count(&second, "images"), count(&second, "warm_up_steps"), count(&second, "steps")), (2, 1, 1));
    assert_eq!(second["device"], "emulator");
    assert!(close(real(&second["predicted"], "seconds_per_step"), plan("243")), "{second}");
    assert!(close(real(&second["predicted"], "images_per_second"), 2.0 / plan("243")));
    assert_eq!(second["predicted"]["same_images"], true);
    let both = window("--warm-up 1 --steps 2");
    assert!(close(real(&both["predicted"], "seconds_per_step"), (plan("243") + plan("111")) / 2.0), "{both}");
    assert!(close(real(&both, "images_per_second"), 4.0 / real(&both, "seconds")));
    let [fastest, mean, slowest] =
        ["fastest_step_seconds", "seconds_per_step", "slowest_step_seconds"].map(|key| real(&both, key));
    assert!(fastest > 0.0 && fastest <= mean && fastest <= slowest, "{both}");
    let left: Vec<_> = std::fs::read_dir(shop.path("")).expect("the folder").collect();
    assert_eq!(left.len(), 1, "small.toml alone: {left:?}");
}

#[test]
fn the_command_lines_watch_the_same_window_on_a_gpu() {
    let shop = Workshop::new();
    let printed = shop.run(&format!("profile {TINY} --set data.train_images=50 --warm-up 3 --steps 2"));
    assert!(
        printed.contains("2 step(s) after 3 of warm-up: ") && printed.contains(" ms a step (fastest "),
        "{printed}"
    );
    assert!(printed.contains("Nothing is predicted: the cost model does not know this device; --device-facts h100"));
    assert!(printed.contains("ncu and nsys look at kernels on a GPU. On a machine that has one"), "{printed}");
    let quoted = r"--set 'step.order=['\''111'\'','\''243'\'']' --set network.cells=1";
    let window = " --set data.train_images=50 --steps 2 --warm-up 3 --device cuda:0";
    let lines = |start: &str| {
        printed.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {printed}"))
    };
    let ncu = lines("  ncu --profile-from-start off --metrics gpu__time_duration.sum,dram__bytes.sum,");
    assert!(ncu.contains(" --export profile.ncu-rep ") && ncu.contains(quoted) && ncu.ends_with(window), "{ncu}");
    lines("  ncu --import profile.ncu-rep --csv --page raw --print-units base > profile.csv");
    let nsys = lines("  nsys profile ");
    assert!(
        nsys.contains("--capture-range=cudaProfilerApi --capture-range-end=stop") && nsys.ends_with(window),
        "{nsys}"
    );
    let table = printed.lines().find(|line| line.contains(" --ncu-csv ")).expect("the command that reads");
    assert!(table.ends_with(&format!("{window} --ncu-csv profile.csv --device-facts GPU")), "{table}");
    // The printed words are those of the JSON.
    let words = json(&shop, &format!("profile {TINY} --device-facts h200 --warm-up 0 --steps 1"));
    let words = words["commands"]["table"].as_array().expect("words");
    let last: Vec<&str> = words[words.len() - 4..].iter().filter_map(Value::as_str).collect();
    assert_eq!(last, ["--ncu-csv", "profile.csv", "--device-facts", "h200"]);
    let oracle = shop.run(&format!("profile {TINY} --set precision=f64 --warm-up 0 --steps 1"));
    assert!(!oracle.contains("ncu"), "no kernel computes in f64: {oracle}");
}

/// The page `raw` of a report (what is known of it stands in src/cli/profile/ncu.rs) of launches: kernel, nanoseconds, bytes, percent of
/// DRAM.
fn page(launches: &[(String, f64, u64, f64)]) -> String {
    let mut page = String::from(
        "==PROF== Connected to process 1 (crosstalk)\n\
         \"ID\",\"Process ID\",\"Process Name\",\"Host Name\",\"Kernel Name\",\"Context\",\"Stream\",\"Block Size\",\"Grid Size\",\"Device\",\"CC\",\
         \"dram__bytes.sum\",\"dram__throughput.avg.pct_of_peak_sustained_elapsed\",\"gpu__time_duration.sum\"\n\
         \"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"byte\",\"%\",\"ns\"\n",
    );
    for (id, (kernel, nanoseconds, bytes, percent)) in launches.iter().enumerate() {
        page.push_str(&format!(
            "\"{id}\",\"1\",\"crosstalk\",\"127.0.0.1\",\"{kernel}\",\"1\",\"7\",\"(256, 1, 1)\",\"(8, 1, 1)\",\"0\",\"9.0\",\"{bytes}\",\"{percent}\",\"{nanoseconds}\"\n"
        ));
    }
    page
}

#[test]
fn measurements_stand_beside_the_plan_of_the_window_and_what_differs_is_said() {
    let shop = Workshop::new();
    let plan = json(&shop, &format!("plan {TINY} --set step.order=['111'] --device h100"));
    // Every launch three times its mean floor, twice the least bytes; the first of a kernel with 20 % of DRAM, others with 40 %.
    let mut launches = Vec::new();
    for row in rows(&plan) {
        let planned = count(row, "launches");
        for launch in 0..planned {
            let nanoseconds = 3.0 * real(row, "floor_seconds") * 1e9 / planned as f64;
            let bytes = if launch == 0 { 2 * count(row, "bytes") } else { 0 };
            let kernel = row["kernel"].as_str().expect("a name").to_owned();
            launches.push((kernel, nanoseconds, bytes, if launch == 0 { 20.0 } else { 40.0 }));
        }
    }
    let csv = shop.path("ncu.csv");
    std::fs::write(&csv, page(&launches)).expect("a file");
    let bf16 = format!("profile {TINY} --set precision=bf16 --device-facts h100 --ncu-csv ncu.csv");
    // Every second step trains the first child.
    let same = json(&shop, &format!("{bf16} --warm-up 2 --steps 1"));
    assert_eq!(same["unmeasured"], Value::Array(Vec::new()));
    assert!(close(real(&same, "time_ratio"), 3.0) && close(real(&same, "bytes_ratio"), 2.0), "{same}");
    assert_eq!(rows(&same).len(), rows(&plan).len());
    for row in rows(&same) {
        let planned =
            rows(&plan).iter().find(|planned| planned["kernel"] == row["kernel"]).expect("a kernel of the plan");
        assert_eq!(count(row, "launches"), count(planned, "launches"));
        assert_eq!(count(row, "minimum_bytes"), count(planned, "bytes"));
        assert!(close(real(row, "time_ratio"), 3.0) && close(real(row, "bytes_ratio"), 2.0), "{row}");
        let launches = count(row, "launches") as f64;
        assert!(close(real(row, "dram_percent"), (20.0 + 40.0 * (launches - 1.0)) / launches), "{row}");
        assert_eq!(row["tensor_cores_percent"], Value::Null);
    }
    assert!(rows(&same).is_sorted_by(|a, b| real(a, "measured_seconds") >= real(b, "measured_seconds")));
    let text = shop.run(&format!("{bf16} --warm-up 2 --steps 1"));
    assert!(
        text.contains(" beside the cost model for h100 ") && text.lines().any(|line| line.starts_with("total")),
        "{text}"
    );

    // A kernel more, one launch less, a kernel less.
    let (first, last) = (launches[0].0.clone(), launches.last().expect("launches").0.clone());
    let mut others: Vec<_> = launches[1..].iter().filter(|(kernel, ..)| *kernel != last).cloned().collect();
    others.push(("sparse_forward".to_owned(), 1e9, 5, 1.0));
    std::fs::write(&csv, page(&others)).expect("a file");
    let other = json(&shop, &format!("{bf16} --warm-up 2 --steps 1"));
    assert_eq!(other["unmeasured"][0]["kernel"], last.as_str());
    let [strange, fewer] =
        ["sparse_forward", &first].map(|kernel| rows(&other).iter().find(|row| row["kernel"] == kernel));
    let strange = strange.expect("a row");
    assert_eq!((count(strange, "planned_launches"), &strange["time_ratio"]), (0, &Value::Null));
    // The longest kernel of this plan is launched more than once.
    let fewer = fewer.expect("a row");
    assert_eq!((count(fewer, "planned_launches"), &fewer["bytes_ratio"]), (count(fewer, "launches") + 1, &Value::Null));
    assert!(close(real(&other, "time_ratio"), 3.0), "of the kernels that are as planned alone: {other}");
    let text = shop.run(&format!("{bf16} --warm-up 2 --steps 1"));
    assert!(text.contains("The plan has no kernel sparse_forward: it was launched 1 time(s)"), "{text}");
    assert!(text.contains(&format!("{first} was launched ")) && text.contains(" as planned: no ratios"), "{text}");
    assert!(text.contains(&format!("{last} was not measured, but the plan has ")), "{text}");
    assert!(text.contains("The plan is that of this configuration, precision and window"), "{text}");
}

#[test]
fn what_cannot_be_profiled_is_refused() {
    let shop = Workshop::new();
    std::fs::write(shop.path("bad.csv"), page(&[("add_gradients".to_owned(), f64::NAN, 1, 1.0)])).expect("a file");
    let refused = |arguments: &str| {
        let output = shop.command(&format!("profile {TINY} {arguments}")).output().expect("the program starts");
        assert!(!output.status.success(), "{arguments}");
        String::from_utf8(output.stderr).expect("text")
    };
    let cell = "bad.csv, line 4, column `gpu__time_duration.sum`: `NaN` is no measurement; profile again";
    assert!(refused("--ncu-csv bad.csv --device-facts h100").contains(cell));
    assert!(refused("--ncu-csv bad.csv").contains("--device-facts"));
    assert!(refused("--ncu-csv absent.csv --device-facts h100").contains("absent.csv"));
    assert!(refused("--device-facts h300").contains("choose h100, h200, a100"));
    assert!(refused("--steps 0").contains("--steps"));
    std::fs::write(shop.path("good.csv"), page(&[("add_gradients".to_owned(), 5.0, 1, 1.0)])).expect("a file");
    let f64 = refused("--ncu-csv good.csv --device-facts h100 --set precision=f64");
    assert!(f64.contains("no kernel computes in f64"), "{f64}");
}
