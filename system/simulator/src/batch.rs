//! Many seeds, on several threads.
//!
//! In: a range of seeds. Out: what all of them came to. Elsewhere: one seed (`world`).
