//! Core as a channel calls it, over HTTP.
