//! Markers and counters.
