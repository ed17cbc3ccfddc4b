//! What every implementation of core's store must do.
