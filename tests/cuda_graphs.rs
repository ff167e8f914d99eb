//! Steps as sequences of commands: those that a device has seen come again, so that a GPU launches a graph.
#![cfg(unix)]

use crosstalk::backend::cuda::{Cuda, WavePlanner};
use crosstalk::device::Device;
use crosstalk::device::emulator::Schedule;
use crosstalk::ops::cuda::Storage;
use crosstalk::train::{Setup, Trainer, config};
use std::io::Write;
use std::sync::{Arc, Mutex};

/// What is written of a trainer's work to the log, line by line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("a lock").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Of each sequence of commands of six steps, whether it came before, and the state's hash at the end.
fn six_steps(settings: &str, planner: Option<WavePlanner>) -> (Vec<bool>, String) {
    let settings = format!("data.batch=4 network.cells=1 network.channels=4 {settings}");
    let assignments: Vec<String> = settings.split(' ').map(str::to_owned).collect();
    let setup = Arc::new(Setup::new(config::load("quick", &assignments).expect("a preset")).expect("a setup"));
    let device = Device::emulator(Schedule::default()).expect("the emulator");
    let mut backend = Cuda::new(device, Storage::F32);
    if let Some(planner) = planner {
        backend = backend.with_planner(planner);
    }
    let mut trainer = Trainer::new(setup, backend).expect("a trainer");
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..6 {
            trainer.step().expect("a step");
        }
    });
    let text = String::from_utf8(log.0.lock().expect("a lock").clone()).expect("text");
    let sequences = text.lines().filter(|line| line.contains("sequence"));
    (sequences.map(|line| line.contains("again=true")).collect(), trainer.hash().expect("a device").to_string())
}

#[test]
fn steps_of_one_child_are_one_sequence() {
    assert_eq!(six_steps("step.order=['243']", None).0, [false, true, true, true, true, true]);
}

#[test]
fn steps_of_two_children_become_one_sequence_when_both_were_seen() {
    // The second step launches what the first did too, with no task.
    assert_eq!(six_steps("step.order=['243','341']", None).0, [false, false, true, true, true, true]);
}

#[test]
fn a_step_of_two_waves_is_one_sequence_with_the_bits_of_one_wave() {
    let together = six_steps("step.order=['243','341'] step.lanes=2", None);
    let apart = six_steps("step.order=['243','341'] step.lanes=2", Some(WavePlanner::fixed(1)));
    assert_eq!(together.0, apart.0);
    assert_eq!(together.1, apart.1);
}

#[test]
fn a_search_repeats_a_sequence_for_each_of_its_two_steps() {
    let (again, _) = six_steps("step.children='mixture' evaluation.children='derived'", None);
    // The first step of the weights makes the tables longer, which moves them.
    assert_eq!(again, [false, false, false, true, true, true, true, true, true, true, true, true]);
}
