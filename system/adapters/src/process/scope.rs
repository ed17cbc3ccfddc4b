//! Tasks and the stop signal.
