//! The points that the other banks' protocol passes, by name, for `sometimes` goals (V2).

/// A credit was booked.
pub const CREDITED: &str = "banks-credited";
/// A credit was refused for good.
pub const REFUSED: &str = "banks-refused";
/// A cancel came before anything was decided: it never will be credited now.
pub const CANCELLED: &str = "banks-cancelled-before-credit";
/// A credit came, or became due, under an id that was cancelled: it was refused.
pub const CREDIT_AFTER_CANCEL: &str = "banks-credit-after-cancel-refused";
/// A cancel met a credit that stands.
pub const CANCEL_AFTER_CREDIT: &str = "banks-cancel-after-credit";
/// A credit was asked for again and met its answer.
pub const REPLAY: &str = "banks-replay";
/// A credit was decided late.
pub const LATE: &str = "banks-late";
/// A first request was left without an answer, or without what it says.
pub const NEVER: &str = "banks-never";
/// Core was told twice.
pub const TWICE: &str = "banks-twice";

/// All of them.
pub const ALL: &[&str] =
    &[CREDITED, REFUSED, CANCELLED, CREDIT_AFTER_CANCEL, CANCEL_AFTER_CREDIT, REPLAY, LATE, NEVER, TWICE];
