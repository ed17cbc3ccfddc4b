//! Core assembled on real parts.
