//! Standard output that may close early (`crosstalk ... | head`): what can no longer be read is not written.

/// Prints a line.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($argument)*);
    }};
}

/// Prints without a line's end.
macro_rules! say_part {
    ($($argument:tt)*) => {{
        use std::io::Write;
        let _ = write!(std::io::stdout(), $($argument)*);
    }};
}

pub(crate) use {say, say_part};
