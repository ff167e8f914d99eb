//! Standard output that nobody reads or that takes no more.

use crate::CHECKPOINT;
#[cfg(target_os = "linux")]
use crate::assert_sentence;
use crate::common::command::Workshop;
use std::process::Stdio;

/// Runs the program with a pipe as standard output that nobody reads.
fn unread(shop: &Workshop, arguments: &str) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = shop.command(arguments).stdout(Stdio::from(writer)).output().expect("the program starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && error.is_empty(), "crosstalk {arguments}: {error}");
}

#[test]
fn a_closed_standard_output_stops_nothing() {
    let shop = Workshop::new();
    let whole = shop.train("whole", "");
    unread(&shop, "train small.toml --out run");
    assert_eq!(shop.recorded("run"), whole);
    for arguments in [
        "--help",
        "train small.toml --print-config",
        "space list",
        "space show zhang64",
        "data list",
        "data inspect digits",
        "eval run --children every:2",
        "interfere run --children every:2",
        &format!("weights inspect run/{CHECKPOINT}"),
        &format!("weights diff run/{CHECKPOINT} run/{CHECKPOINT}"),
    ] {
        unread(&shop, arguments);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_an_error_but_the_run_is_stored() {
    let shop = Workshop::new();
    let whole = shop.train("whole", "");
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").expect("a device"));
    for arguments in ["space list", "train small.toml --out run"] {
        let output = shop.command(arguments).stdout(full()).output().expect("the program starts");
        assert_sentence(arguments, &output, &["not everything could be printed", "No space left"]);
    }
    assert_eq!(shop.recorded("run"), whole);
}
