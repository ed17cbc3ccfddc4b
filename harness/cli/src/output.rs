//! Words on standard output and standard error, also when nobody reads them any more.
//!
//! In: text. Out: lines. A reader that left (`| head`, a closed terminal) is no reason to end a run, and none to panic.

use std::io::Write;

/// One line of a result, on standard output.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// One line of progress or of a mistake, on standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
