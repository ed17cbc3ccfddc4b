//! Accounts with history, loaded before warm-up: what both stores are filled from.
