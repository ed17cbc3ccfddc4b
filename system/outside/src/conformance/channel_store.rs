//! What every implementation of the channel's store must do.
