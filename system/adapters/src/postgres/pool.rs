//! A small pool of connections with prepared statements.
