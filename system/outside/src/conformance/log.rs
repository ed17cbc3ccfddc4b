//! What every implementation of the event log must do.
