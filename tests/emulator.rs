//! What the emulator finds: kernels with one planted fault each (tests/kernels/faults.cu), and the same kernels without it.
#![cfg(unix)]

use crosstalk::device::emulator::{Copies, EmulatedKernel, Schedule};
use crosstalk::device::{Argument, Buffer, Device, DeviceError, Fault, FaultKind, Launch};
use half::bf16;

// The tables of the kernels in tests/kernels.
include!(concat!(env!("OUT_DIR"), "/test_kernels.rs"));

/// Orders of blocks and threads, and both ends of the time in which copies may happen.
fn schedules() -> impl Iterator<Item = Schedule> {
    (0..4).flat_map(|seed| [Copies::Late, Copies::Early].map(|copies| Schedule { seed, copies }))
}

fn device(schedule: Schedule) -> Device {
    Device::emulator_of(schedule, embedded().to_vec()).expect("an emulator")
}

/// Runs a kernel under every schedule; all must find a fault of this kind. Returns the first.
fn fault(kind: FaultKind, launch: &Launch, arguments: impl Fn(&Device) -> Buffers) -> Fault {
    let found = |schedule| {
        let device = device(schedule);
        let buffers = arguments(&device);
        match device.launch(launch, &buffers.arguments()) {
            Err(DeviceError::Fault(fault)) if fault.kind == kind && fault.kernel == launch.kernel => *fault,
            other => panic!("{} under {schedule:?}: {other:?} instead of {kind:?}", launch.kernel),
        }
    };
    schedules().map(found).collect::<Vec<_>>().swap_remove(0)
}

/// Runs a kernel under every schedule; all must find a fault of one of these kinds: which is seen first
/// depends on the order of the threads.
fn fault_of_either(kinds: &[FaultKind], launch: &Launch, arguments: impl Fn(&Device) -> Buffers) {
    for schedule in schedules() {
        let device = device(schedule);
        match device.launch(launch, &arguments(&device).arguments()) {
            Err(DeviceError::Fault(fault)) if kinds.contains(&fault.kind) => (),
            other => panic!("{} under {schedule:?}: {other:?}", launch.kernel),
        }
    }
}

/// Runs a kernel under every schedule without a fault; the first buffer must then hold `expected`.
fn clean(launch: &Launch, expected: &[i32], arguments: impl Fn(&Device) -> Buffers) {
    for schedule in schedules() {
        let device = device(schedule);
        let buffers = arguments(&device);
        let done = device.launch(launch, &buffers.arguments());
        done.unwrap_or_else(|error| panic!("{} under {schedule:?}: {error}", launch.kernel));
        let out = buffers.0[0].download().expect("the results");
        assert_eq!(out, expected, "{} under {schedule:?}", launch.kernel);
    }
}

struct Buffers(Vec<Buffer<i32>>, Vec<u32>);

impl Buffers {
    fn arguments(&self) -> Vec<Argument> {
        let numbers = self.1.iter().map(|&number| Argument::value(number));
        self.0.iter().map(Argument::buffer).chain(numbers).collect()
    }
}

/// An unwritten buffer `out`.
fn out(len: usize) -> impl Fn(&Device) -> Buffers {
    move |device| Buffers(vec![device.allocate("out", len).expect("memory")], Vec::new())
}

/// An unwritten buffer `out` and a buffer `in` of 0, 1, ...
fn out_and_in(len: usize, given: i32) -> impl Fn(&Device) -> Buffers {
    move |device| {
        let input: Vec<i32> = (0..given).collect();
        let buffers = vec![device.allocate("out", len).expect("memory"), device.upload("in", &input).expect("memory")];
        Buffers(buffers, Vec::new())
    }
}

fn with_shared(kernel: &'static str, threads: u32, shared_bytes: u32) -> Launch {
    Launch { shared_bytes, ..Launch::new(kernel, 1, threads) }
}

/// One block of 128 threads with a tile of 128 numbers.
fn tile(kernel: &'static str) -> Launch {
    with_shared(kernel, 128, 512)
}

fn numbers(number: impl Fn(i32) -> i32) -> Vec<i32> {
    (0..128).map(number).collect()
}

#[test]
fn an_access_past_the_end_is_out_of_bounds_and_names_its_buffer_block_and_thread() {
    let launch = Launch::new("reads_past_the_end", 2, 64);
    let found = fault(FaultKind::OutOfBounds, &launch, out_and_in(100, 100));
    let access = found.access.as_ref().expect("an access");
    assert_eq!((access.buffer.as_str(), access.offset, access.bytes), ("in", 400, 4));
    assert_eq!((found.at.block, found.at.thread), ([1, 0, 0], [36, 0, 0]));
    let text = DeviceError::Fault(Box::new(found)).to_string();
    assert!(text.contains("kernel `reads_past_the_end`") && text.contains("byte 400 of in"), "{text}");

    let found = fault(FaultKind::OutOfBounds, &Launch::new("writes_past_the_end", 2, 64), out(100));
    assert_eq!(found.access.map(|access| access.buffer).as_deref(), Some("out"));
    let expected: Vec<i32> = (0..100).collect();
    clean(&Launch::new("clean_copy", 2, 64), &expected, |device| Buffers(out_and_in(100, 100)(device).0, vec![100]));
}

#[test]
fn an_access_outside_every_buffer_is_out_of_bounds() {
    let found = fault(FaultKind::OutOfBounds, &Launch::new("reads_before_the_start", 1, 32), out_and_in(32, 32));
    assert_ne!(found.access.expect("an access").buffer, "in");
    let found = fault(FaultKind::OutOfBounds, &tile("leaves_shared_memory"), out(128));
    assert_eq!(found.access.map(|access| (access.buffer, access.offset)), Some(("shared memory".to_owned(), 512)));
}

#[test]
fn a_vector_at_an_address_that_is_none_is_misaligned() {
    let found = fault(FaultKind::Misaligned, &Launch::new("loads_a_misaligned_vector", 1, 32), out_and_in(128, 132));
    assert_eq!(found.access.map(|access| access.bytes), Some(16));
}

#[test]
fn reads_of_unwritten_memory_are_found_in_shared_and_in_device_memory() {
    let found = fault(FaultKind::Uninitialized, &tile("reads_unwritten_shared_memory"), out(128));
    assert!(found.at.thread[0] >= 100, "{found}");
    let launch = Launch::new("clean_copy", 2, 64);
    let found = fault(FaultKind::Uninitialized, &launch, |device| {
        let buffers = ["out", "in"].map(|name| device.allocate(name, 100).expect("memory"));
        Buffers(buffers.into(), vec![100])
    });
    assert_eq!(found.access.map(|access| access.buffer).as_deref(), Some("in"));
}

#[test]
fn accesses_that_no_barrier_orders_are_a_race() {
    for kernel in ["exchanges_without_a_barrier", "overwrites_what_others_read", "exchanges_in_a_warp_unsynchronized"] {
        let found = fault(FaultKind::Race, &tile(kernel), out(128));
        assert_eq!(found.access.map(|access| access.buffer).as_deref(), Some("shared memory"), "{kernel}");
    }
    clean(&tile("exchanges_after_a_barrier"), &numbers(|i| (i + 32) % 128), out(128));
    clean(&tile("exchanges_twice_with_barriers"), &numbers(|i| 2 * ((i + 32) % 128) + 1), out(128));
    clean(&tile("exchanges_in_a_warp"), &numbers(|i| i ^ 1), out(128));
}

#[test]
fn a_named_barrier_orders_the_warps_that_meet_there_and_no_others() {
    clean(&tile("exchanges_behind_named_barriers"), &numbers(|i| i ^ 32), out(128));
    fault(FaultKind::Race, &tile("reads_beyond_its_named_barrier"), out(128));
}

#[test]
fn blocks_that_write_the_same_number_race() {
    let found = fault(FaultKind::Race, &Launch::new("all_blocks_write_one_number", 8, 32), out(1));
    let other = found.other.expect("the other thread");
    assert_ne!(other.block, found.at.block);
}

#[test]
fn a_barrier_that_not_all_threads_reach_is_divergent() {
    let kind = FaultKind::DivergentBarrier;
    for kernel in ["half_a_block_at_a_barrier", "leaves_before_a_barrier", "two_barriers_at_once"] {
        let found = fault(kind, &Launch::new(kernel, 1, 128), out(128));
        assert!(found.line.is_some(), "{found}");
    }
    let cooperative = Launch { cooperative: true, ..Launch::new("half_the_grid_at_a_barrier", 4, 32) };
    fault(kind, &cooperative, out(128));
}

#[test]
fn a_collective_that_lanes_miss_is_divergent() {
    let kind = FaultKind::DivergentCollective;
    fault(kind, &Launch::new("two_shuffles_at_once", 1, 128), out(128));
    fault(kind, &Launch::new("shuffles_with_lanes_that_left", 1, 128), out(128));
    fault(kind, &Launch::new("shuffles_from_outside_the_mask", 1, 128), out(128));
    // Its other lanes wait at a barrier, which is just as divergent.
    let kinds = [kind, FaultKind::DivergentBarrier];
    fault_of_either(&kinds, &Launch::new("half_a_warp_shuffles", 1, 128), out(128));
    let sum = |i: i32| (i / 32 * 32..i / 32 * 32 + 32).sum();
    clean(&Launch::new("sums_by_shuffles", 1, 128), &numbers(sum), out(128));
    let of_half = |i: i32| {
        if i % 32 < 16 {
            i ^ 1
        } else if i % 8 < 5 {
            i + 3
        } else {
            i
        }
    };
    let parts = numbers(|i| of_half(i) * 1000 + i / 8 * 8);
    clean(&Launch::new("shuffles_in_parts", 1, 128), &parts, out(128));
}

#[test]
fn an_asynchronous_copy_is_unusable_before_its_wait_and_to_others_before_a_barrier() {
    let copies = |kernel| with_shared(kernel, 64, 1024);
    let buffers = || out_and_in(256, 256);
    fault(FaultKind::UnwaitedCopy, &copies("copies_without_a_wait"), buffers());
    fault(FaultKind::UnwaitedCopy, &copies("leaves_with_copies_under_way"), buffers());
    let kinds = [FaultKind::Race, FaultKind::Uninitialized, FaultKind::UnwaitedCopy];
    fault_of_either(&kinds, &copies("copies_without_a_barrier"), buffers());
    let expected: Vec<i32> = (0..256).map(|i| (i + 128) % 256).collect();
    clean(&copies("copies_and_waits"), &expected, buffers());
}

/// `sum`, `partial` and `finished` of the kernels that sum in the last block.
fn sum_buffers(device: &Device) -> Buffers {
    let [sum, partial] = [("sum", 1), ("partial", 20)].map(|(name, len)| device.allocate(name, len).expect("memory"));
    Buffers(vec![sum, partial, device.zeros("finished", 1).expect("memory")], Vec::new())
}

#[test]
fn a_counter_of_finished_blocks_orders_them_if_fences_stand_on_both_sides() {
    let launch = |kernel| Launch { shared_bytes: 4, ..Launch::new(kernel, 20, 64) };
    clean(&launch("last_block_sums"), &[210], sum_buffers);
    for kernel in ["last_block_sums_without_release", "last_block_sums_without_acquire"] {
        let found = fault(FaultKind::Race, &launch(kernel), sum_buffers);
        assert_eq!(found.access.map(|access| access.buffer).as_deref(), Some("partial"), "{kernel}");
    }
}

#[test]
fn a_grid_barrier_orders_the_blocks_of_a_cooperative_launch() {
    let launch = |kernel, cooperative| Launch { cooperative, ..Launch::new(kernel, 16, 32) };
    let buffers = out_and_in(512, 512);
    let expected: Vec<i32> = (0..512).map(|i| (i / 32 + 1) % 16).collect();
    clean(&launch("exchanges_between_blocks", true), &expected, &buffers);
    fault(FaultKind::BadLaunch, &launch("exchanges_between_blocks", false), &buffers);
    fault(FaultKind::Race, &launch("exchanges_between_blocks_unsynchronized", true), &buffers);
}

#[test]
fn a_block_may_have_as_much_shared_memory_as_the_device_says() {
    let most = device(Schedule::default()).properties().shared_bytes_per_block;
    let launch = Launch { shared_bytes: most, ..Launch::new("clean_copy", 2, 64) };
    clean(&launch, &(0..100).collect::<Vec<_>>(), |device| {
        let Buffers(buffers, _) = out_and_in(100, 100)(device);
        Buffers(buffers, vec![100])
    });
    fault(FaultKind::BadLaunch, &with_shared("writes_past_the_end", 32, most + 1), out(32));
}

#[test]
fn launches_that_no_device_runs_are_refused() {
    for launch in [
        Launch::new("writes_past_the_end", 0, 32),
        Launch::new("writes_past_the_end", 1, 1025),
        Launch { shared_bytes: 228 << 10, ..Launch::new("writes_past_the_end", 1, 32) },
        Launch { grid: [1, 65_536, 1], ..Launch::new("writes_past_the_end", 1, 32) },
        Launch { cooperative: true, ..Launch::new("writes_past_the_end", 17, 1) },
    ] {
        fault(FaultKind::BadLaunch, &launch, out(32));
    }
}

#[test]
fn unknown_kernels_and_arguments_of_other_sizes_are_errors() {
    let device = device(Schedule::default());
    let unknown = device.launch(&Launch::new("no_such_kernel", 1, 1), &[]);
    assert!(matches!(unknown, Err(DeviceError::UnknownKernel(name)) if name == "no_such_kernel"));
    let wrong = device.launch(&Launch::new("clean_copy", 1, 1), &[Argument::value(1u64), Argument::value(2u32)]);
    let text = wrong.expect_err("an error").to_string();
    assert_eq!(text, "kernel `clean_copy` takes arguments of [8, 8, 4] bytes, but was given [8, 4]");
    let mut buffer = device.zeros::<u32>("numbers", 3).expect("memory");
    assert!(matches!(buffer.upload(&[1, 2]), Err(DeviceError::Length { values: 2, len: 3, .. })));
    assert_eq!(buffer.download().expect("values"), [0; 3]);
}

#[test]
fn a_device_goes_on_after_a_fault() {
    let device = device(Schedule::default());
    let buffers = out_and_in(100, 100)(&device);
    assert!(device.launch(&Launch::new("reads_past_the_end", 2, 64), &buffers.arguments()).is_err());
    let buffers = Buffers(buffers.0, vec![100]);
    device.launch(&Launch::new("clean_copy", 2, 64), &buffers.arguments()).expect("no fault");
    assert_eq!(buffers.0[0].download().expect("values"), (0..100).collect::<Vec<i32>>());
}

#[test]
fn tensor_core_tiles_multiply_as_plain_loops_do() {
    let depth = 64;
    let small = |i: usize| bf16::from_f32(((i * 7 + i / 5) % 13) as f32 / 4.0 - 1.5).to_bits();
    let a: Vec<u16> = (0..16 * depth).map(small).collect();
    let b: Vec<u16> = (0..8 * depth).map(|i| small(i + 3)).collect();
    let value = |bits: u16| bf16::from_bits(bits).to_f32();
    let product = |i: usize| -> f32 {
        let (row, column) = (i / 8, i % 8);
        (0..depth).map(|k| value(a[row * depth + k]) * value(b[column * depth + k])).sum()
    };
    let expected: Vec<f32> = (0..128).map(product).collect();
    assert!(expected.iter().any(|value| *value != 0.0));
    for schedule in schedules() {
        let device = device(schedule);
        let c = device.allocate::<f32>("c", 128).expect("memory");
        let [a, b] = [("a", &a), ("b", &b)].map(|(name, values)| device.upload(name, values).expect("memory"));
        let arguments =
            [Argument::buffer(&c), Argument::buffer(&a), Argument::buffer(&b), Argument::value(depth as u32)];
        device.launch(&with_shared("multiplies_tiles", 32, 24 * 48), &arguments).expect("no fault");
        // Multiples of 1/16 below 2^10: every sum is exact, whatever its order.
        assert_eq!(c.download().expect("values"), expected, "{schedule:?}");
    }
}

#[test]
fn transposed_matrices_come_out_by_columns() {
    let device = device(Schedule::default());
    let input: Vec<u16> = (0..256).collect();
    let out = device.allocate::<u32>("out", 128).expect("memory");
    let given = device.upload("in", &input).expect("memory");
    let arguments = [Argument::buffer(&out), Argument::buffer(&given)];
    device.launch(&with_shared("transposes_matrices", 32, 512), &arguments).expect("no fault");
    let at = |matrix: u32, row: u32, column: u32| matrix * 64 + row * 8 + column;
    for (i, two) in (0..).zip(out.download().expect("values")) {
        let (matrix, lane) = (i / 32, i % 32);
        let (column, row) = (lane / 4, lane % 4 * 2);
        assert_eq!((two & 0xffff, two >> 16), (at(matrix, row, column), at(matrix, row + 1, column)));
    }
}
