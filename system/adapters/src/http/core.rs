//! Core's front door.
