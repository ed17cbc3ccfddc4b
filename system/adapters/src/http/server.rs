//! What both front doors share.
