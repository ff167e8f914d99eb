//! Standard output that may be closed or full: a run of hours does not end because nobody reads what it prints.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};
use std::sync::OnceLock;

static FAILURE: OnceLock<std::io::Error> = OnceLock::new();

/// Prints to standard output. A reader that went away, as `head` does, is no failure; any other is kept for [`failure`].
pub fn write(text: Arguments) {
    if let Err(cause) = std::io::stdout().lock().write_fmt(text)
        && cause.kind() != ErrorKind::BrokenPipe
    {
        FAILURE.get_or_init(|| cause);
    }
}

/// What kept the program from printing, if anything did.
pub fn failure() -> Option<String> {
    if let Err(cause) = std::io::stdout().lock().flush()
        && cause.kind() != ErrorKind::BrokenPipe
    {
        FAILURE.get_or_init(|| cause);
    }
    FAILURE.get().map(|cause| {
        format!("not everything could be printed ({cause}); what was stored is whole, print to another place")
    })
}

/// As the standard library's, but it does not panic where standard output cannot be written.
macro_rules! print {
    ($($part:tt)*) => { $crate::cli::output::write(format_args!($($part)*)) };
}

/// As the standard library's, but it does not panic where standard output cannot be written.
macro_rules! println {
    () => { $crate::cli::output::write(format_args!("\n")) };
    ($($part:tt)*) => { $crate::cli::output::write(format_args!("{}\n", format_args!($($part)*))) };
}
