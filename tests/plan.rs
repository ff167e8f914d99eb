//! `crosstalk plan`: its sums, its launches beside those of a device, what it refuses.

mod common;

use common::command::Workshop;
use crosstalk::device::kernel_table::compiled_kernel;
use serde_json::Value;
use std::collections::BTreeMap;
#[cfg(unix)]
use std::io::Write;
#[cfg(unix)]
use std::sync::{Arc, Mutex};

fn plan(shop: &Workshop, arguments: &str) -> Value {
    serde_json::from_str(&shop.run(&format!("plan {arguments} --json"))).expect("JSON")
}

fn kernels(plan: &Value) -> &[Value] {
    plan["kernels"].as_array().expect("rows")
}

fn count(row: &Value, key: &str) -> u64 {
    row[key].as_u64().unwrap_or_else(|| panic!("{key} of {row}"))
}

fn real(row: &Value, key: &str) -> f64 {
    row[key].as_f64().unwrap_or_else(|| panic!("{key} of {row}"))
}

#[test]
fn totals_are_the_sums_of_the_rows_and_every_time_is_at_least_its_floors() {
    let shop = Workshop::new();
    for arguments in ["paper --device h100 --lanes 3", "darts-small --data digits --device a100 --precision f32"] {
        let plan = plan(&shop, arguments);
        let rows = kernels(&plan);
        for key in ["launches", "bytes", "flops"] {
            assert_eq!(rows.iter().map(|row| count(row, key)).sum::<u64>(), count(&plan, key), "{key}: {arguments}");
        }
        for key in ["traffic_seconds", "arithmetic_seconds", "floor_seconds", "predicted_seconds"] {
            let sum: f64 = rows.iter().map(|row| real(row, key)).sum();
            assert!((sum / real(&plan, key) - 1.0).abs() < 1e-12, "{key}: {arguments}");
        }
        let memory = plan["memory"].as_object().expect("parts").values();
        assert_eq!(memory.map(|bytes| bytes.as_u64().expect("bytes")).sum::<u64>(), count(&plan, "memory_bytes"));
        for row in rows {
            let launches = real(&plan, "launch_seconds") * count(row, "launches") as f64;
            let least = real(row, "traffic_seconds").max(real(row, "arithmetic_seconds"));
            let floor = real(row, "floor_seconds");
            assert!(floor >= least * (1.0 - 1e-12), "{row}");
            assert!((real(row, "predicted_seconds") / (floor + launches) - 1.0).abs() < 1e-12, "{row}");
            assert!((1..=count(row, "blocks")).contains(&count(row, "launches")), "{row}");
            assert!(count(row, "resident_blocks") > 0, "{row}");
        }
        assert!(rows.is_sorted_by(|a, b| real(a, "predicted_seconds") >= real(b, "predicted_seconds")));
        let images = (count(&plan, "lanes") * count(&plan, "images")) as f64;
        let rate = images / real(&plan, "predicted_seconds");
        assert!((rate / real(&plan, "predicted_images_per_second") - 1.0).abs() < 1e-12);
    }
}

#[test]
fn the_bytes_of_heads_and_nodes_are_those_counted_by_hand() {
    let shop = Workshop::new();
    let plan = plan(&shop, "paper --device h100 --lanes 3");
    let bytes = |kernel: &str| {
        let row = kernels(&plan).iter().find(|row| row["kernel"] == kernel);
        count(row.expect("a kernel of every step"), "bytes")
    };
    // A head reads 2 x 16 channels of 32x32 pixels of 256 images in bf16, 10 x 32 weights and 10 biases in f32, and writes features
    // and logits with their gradients.
    let head = 256 * 1024 * 32 * 2 + (10 * 32 + 10) * 4 + 2 * 256 * (32 + 10) * 4;
    assert_eq!(bytes("head_forward_bf16"), 3 * head);
    // Two nodes in each of two cells read two maps of 16 channels and write one.
    assert_eq!(bytes("node_forward_bf16"), 3 * 2 * 2 * 3 * 256 * 1024 * 16 * 2);
}

/// Of kernels that compute stages: those of a step's beginning and end depend on its replicas and parameters.
fn of_stages(plan: &Value, what: &str) -> u64 {
    let others = ["gather_pixels", "add_gradients", "check_losses", "move_running_statistics", "sgd_update"];
    let rows = kernels(plan).iter().filter(|row| !others.contains(&row["kernel"].as_str().expect("a name")));
    rows.map(|row| count(row, what)).sum()
}

#[test]
fn lanes_of_one_child_share_launches() {
    let shop = Workshop::new();
    let of_lanes = |lanes: u32| plan(&shop, &format!("quick --device h200 --set step.order=['243'] --lanes {lanes}"));
    let (one, four, many) = (of_lanes(1), of_lanes(4), of_lanes(1000));
    assert_eq!(count(&four, "launches"), count(&one, "launches"));
    for what in ["blocks", "bytes", "flops"] {
        assert_eq!(of_stages(&four, what), 4 * of_stages(&one, what), "{what}");
    }
    // More lanes than run together: other waves, and one update.
    let waves = count(&many, "waves");
    assert!((count(&one, "waves"), count(&four, "waves")) == (1, 1) && waves > 1, "{waves}");
    assert_eq!(of_stages(&many, "launches"), waves * of_stages(&one, "launches"));
    assert_eq!(of_stages(&many, "flops"), 1000 * of_stages(&one, "flops"));
    let launches = |plan: &Value, kernel: &str| {
        kernels(plan).iter().find(|row| row["kernel"] == kernel).map_or(0, |row| count(row, "launches"))
    };
    assert_eq!((launches(&many, "add_gradients"), launches(&many, "sgd_update")), (waves, 1));
    let maps = |plan: &Value| count(&plan["memory"], "feature_maps") / count(&one["memory"], "feature_maps");
    assert!(maps(&four) == 4 && maps(&many) >= 1000 / waves && maps(&many) < 1000, "{}", maps(&many));
}

#[test]
fn kernels_with_products_for_tensor_cores_have_tensor_instructions_and_no_others_do() {
    let shop = Workshop::new();
    for space in ["paper --lanes 8", "nasbench201 --lanes 8", "darts --lanes 8"] {
        for precision in ["bf16", "f32"] {
            for row in kernels(&plan(&shop, &format!("{space} --device h100 --precision {precision}"))) {
                let kernel = row["kernel"].as_str().expect("a name");
                let compiled = compiled_kernel(kernel, "sm_90a").expect("in the table");
                assert_eq!(compiled.tensor_instructions > 0, count(row, "tensor_flops") > 0, "{kernel}");
            }
        }
    }
}

#[test]
fn what_is_not_known_is_refused() {
    let shop = Workshop::new();
    let error = |arguments: &str| {
        let output = shop.command(&format!("plan {arguments}")).output().expect("the program starts");
        assert!(!output.status.success(), "{arguments}");
        String::from_utf8(output.stderr).expect("text")
    };
    assert!(error("paper --device h300").contains("choose h100, h200, a100"));
    assert!(error("paper --device h100 --precision f64").contains("choose bf16 or f32"));
    assert!(error("papers --device h100").contains("there is no preset `papers`"));
    assert!(error("paper --device h100 --lanes 0").contains("`step.lanes` must be at least 1"));
    assert!(error("fashion --device h100").contains("crosstalk data fetch fashion-mnist"));
}

/// Launches and blocks by kernel.
type Launches = BTreeMap<String, (u64, u64)>;

fn planned_launches(plan: &Value) -> Launches {
    let launches = |row: &Value| (count(row, "launches"), count(row, "blocks"));
    kernels(plan).iter().map(|row| (row["kernel"].as_str().expect("a name").to_owned(), launches(row))).collect()
}

/// What some work launches on a device.
#[cfg(unix)]
fn launches(work: impl FnOnce()) -> Launches {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("a lock").write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, work);
    let text = String::from_utf8(lines.0.lock().expect("a lock").clone()).expect("text");
    let mut launched = Launches::new();
    for line in text.lines().filter(|line| line.contains("kernel=")) {
        let (_, launch) = line.split_once("kernel=\"").expect("the kernel");
        let (kernel, grid) = launch.split_once("\" grid=[").expect("the grid");
        let grid = grid.trim_end_matches(']').split(", ").map(|extent| extent.parse::<u64>().expect("a number"));
        let (launches, blocks) = launched.entry(kernel.to_owned()).or_default();
        *launches += 1;
        *blocks += grid.product::<u64>();
    }
    launched
}

/// Every launch of a training step on the emulator is one of the plan, with as many blocks.
#[cfg(unix)]
#[test]
fn the_emulator_launches_what_is_planned() {
    use crosstalk::backend::cuda::Cuda;
    use crosstalk::device::Device;
    use crosstalk::device::emulator::Schedule;
    use crosstalk::ops::cuda::Storage;
    use crosstalk::train::{Setup, Trainer, config};

    let shop = Workshop::new();
    let settings = ["step.children=\"uniform\"", "step.lanes=3", "data.batch=4", "network.cells=1", "replicas=2"];
    let assignments: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
    let setup = Arc::new(Setup::new(config::load("quick", &assignments).expect("a preset")).expect("a setup"));
    let device = Device::emulator(Schedule::default()).expect("the emulator");
    let mut trainer = Trainer::new(setup.clone(), Cuda::new(device, Storage::Bf16)).expect("a trainer");

    let children: Vec<_> = trainer.children_of(0).collect();
    let launched = launches(|| drop(trainer.step().expect("a step")));
    let set: Vec<String> = settings.iter().map(|setting| format!("--set {setting}")).collect();
    let plan = plan(&shop, &format!("quick --device h100 {}", set.join(" ")));
    assert_eq!(planned_launches(&plan), launched);
    assert_eq!(count(&plan, "launches"), launched.values().map(|(launches, _)| launches).sum::<u64>());
    let names: Vec<String> = children.iter().map(|child| setup.space().format_child(child)).collect();
    assert_eq!(plan["children"], Value::from(names));
}

/// A step of a search is one of the architecture parameters and one of the weights.
#[cfg(unix)]
#[test]
fn the_emulator_launches_what_is_planned_of_a_search() {
    use crosstalk::backend::cuda::Cuda;
    use crosstalk::device::Device;
    use crosstalk::device::emulator::Schedule;
    use crosstalk::ops::cuda::Storage;
    use crosstalk::train::{Setup, Trainer, config};

    let settings = "step.children=\"mixture\" data.batch=2 network.cells=1 network.channels=4 replicas=2 evaluation.children=\"derived\"";
    let assignments: Vec<String> = settings.split(' ').map(str::to_owned).collect();
    let setup = Arc::new(Setup::new(config::load("quick", &assignments).expect("a preset")).expect("a setup"));
    let device = Device::emulator(Schedule::default()).expect("the emulator");
    let mut trainer = Trainer::new(setup, Cuda::new(device, Storage::F32)).expect("a trainer");
    let launched = launches(|| drop(trainer.step().expect("a step")));
    let shop = Workshop::new();
    let set: Vec<String> = assignments.iter().map(|setting| format!("--set {setting}")).collect();
    let plan = plan(&shop, &format!("quick --device h100 --precision f32 {}", set.join(" ")));
    let planned = planned_launches(&plan);
    assert!(planned.contains_key("add_gate_parts"), "{planned:?}");
    for (kernel, launches) in &planned {
        assert_eq!(launched.get(kernel), Some(launches), "{kernel}");
    }
    assert_eq!(count(&plan, "lanes"), 4);
}
