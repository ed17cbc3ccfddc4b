//! The visible log: a file in the run folder.
