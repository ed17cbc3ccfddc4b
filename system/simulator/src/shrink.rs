//! A smaller plan that fails the same way.
//!
//! In: a plan that fails. Out: the smallest found. Elsewhere: one run (`world`).
