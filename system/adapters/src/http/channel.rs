//! The channel's front door.
