//! `crosstalk devices`, and what a device says where there is none.

use assert_cmd::Command;
#[cfg(unix)]
use crosstalk::device::emulator::Schedule;
use crosstalk::device::{Device, DeviceError, Unusable, cuda, modules};

fn devices() -> Command {
    let mut command = Command::cargo_bin("crosstalk").expect("the program");
    command.arg("devices");
    command
}

fn printed(command: &mut Command) -> String {
    let output = command.assert().success().get_output().clone();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn devices_are_listed_with_what_is_missing() {
    let text = printed(&mut devices());
    for part in ["CPU: ", "portable", "GPU: ", "Kernels for GPUs: ", "Emulator of kernels: ", "sgd_update"] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    let built = if modules::embedded() { "compiled by nvcc release" } else { "run scripts/cuda-toolchain" };
    assert!(text.contains(built), "{text}");
}

/// An empty library in the place of the driver, as some containers have one.
#[cfg(target_os = "linux")]
#[test]
fn a_driver_without_functions_is_reported_and_not_a_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("empty.c");
    std::fs::write(&source, "").expect("a file");
    let library = folder.path().join("libcuda.so");
    let compiler = std::process::Command::new("cc").args(["-shared", "-o"]).arg(&library).arg(&source).status();
    assert!(compiler.expect("a C compiler").success());
    let text = printed(devices().env("LD_LIBRARY_PATH", folder.path()));
    assert!(text.contains("GPU: none; the NVIDIA driver does not answer"), "{text}");
}

#[cfg(unix)]
#[test]
fn the_emulator_has_no_memory_of_its_own() {
    let device = Device::emulator(Schedule::default()).expect("an emulator");
    assert_eq!((device.name().as_str(), device.memory()), ("emulator", None));
    device.start_profiler().and_then(|()| device.stop_profiler()).expect("nothing to do");
}

#[test]
#[ignore = "needs a GPU"]
fn on_a_gpu_memory_is_counted_and_what_does_not_fit_is_told() {
    const MIB: usize = 1 << 20;
    let device = Device::cuda(0).expect("a GPU");
    let before = device.memory().expect("its memory");
    assert!(before.own == 0 && before.free <= before.total, "{before:?}");
    let properties = device.properties();
    assert!(properties.multiprocessors > 0 && properties.l2_bytes > 0, "{properties:?}");
    assert!(properties.memory_bytes >= before.total as u64 && properties.shared_bytes_per_block >= 48 << 10);
    let buffer = device.allocate::<u8>("bytes", 64 * MIB).expect("a buffer");
    let held = device.memory().expect("its memory");
    assert_eq!(held.own, 64 * MIB);
    assert!(held.free < before.free, "{before:?}, then {held:?}");
    let told = device.allocate::<u8>("too many", 2 * held.total).map(drop).expect_err("a refusal").to_string();
    assert!(
        told.contains("buffer `too many` of") && told.contains(" MiB are free, 64 MiB are in other buffers"),
        "{told}"
    );
    drop(buffer);
    assert_eq!(device.memory().expect("its memory").own, 0);
    device.start_profiler().and_then(|()| device.stop_profiler()).expect("a profiler need not be there");
}

#[test]
fn opening_a_gpu_agrees_with_the_probe() {
    match (cuda::probe(), Device::cuda(0).map(drop)) {
        _ if !modules::embedded() => {
            assert!(matches!(Device::cuda(0).map(drop), Err(DeviceError::Unusable(Unusable::NoKernels))));
        }
        (Err(reason), opened) => {
            assert!(matches!(opened, Err(DeviceError::Unusable(found)) if found == reason), "{reason}");
        }
        (Ok(probe), opened) => {
            assert_eq!(opened.is_ok(), probe.devices[0].capability >= (8, 0));
            let beyond = Device::cuda(probe.devices.len()).map(drop);
            assert!(matches!(beyond, Err(DeviceError::Unusable(Unusable::NoSuchDevice { .. }))));
        }
    }
}
