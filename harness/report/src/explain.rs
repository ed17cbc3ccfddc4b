//! What each check means, in a sentence that needs no knowledge of the code.
//!
//! In: a check's id. Out: text. Elsewhere: how a check decides (`check`).

/// The sentence of a check; `None` for an id that this build does not know.
pub(crate) fn check(id: &str) -> Option<&'static str> {
    Some(match id {
        "L1" => {
            "Money is conserved: the legs of every booking sum to zero, and each balance equals the sum of its entries."
        }
        "L2" => "No account falls below its limit at any point of its history.",
        "L3" => {
            "Every account's entries are numbered 1, 2, 3 ... without gap or repeat, and each balance follows from the one before."
        }
        "L4" => "A booking is there with both of its legs, or not at all.",
        "L5" => "What was answered first comes first in the account's history.",
        "O1" => "One request is booked at most once, however often it is sent.",
        "O2" => "Whatever was answered ok is booked, exactly once, with the amounts that were asked for.",
        "O3" => "Whatever was refused left no trace in the ledger.",
        "O5" => "Every request that was in doubt was settled in time.",
        "S1" => "Every entry that the channel shows is, field for field, the ledger's.",
        "S2" => "The channel shows no entry twice.",
        "S3" => "The channel never shows an entry while an earlier one is missing.",
        "S4" => "What a customer has seen does not disappear again.",
        "S5" => "When all is quiet, the channel's copy equals the ledger for every account.",
        "T1" => "Every booking was published, and nothing was published that was not booked.",
        "T2" => "Each account's bookings were published in their order.",
        "T3" => "No message was ticked off before its effect was stored.",
        "V1" => "No database had to end a deadlock: whoever locks two accounts takes them in the same order.",
        "V2" => "What the scenario says must happen did happen, so that the checks had something to look at.",
        "V3" => "The harness itself was sound: no panic, steady clocks, the planned load reached.",
        _ => return None,
    })
}

/// The four clocks of every deposit: name, and what it is.
pub(crate) const CLOCKS: [(&str, &str); 4] = [
    ("Due", "the moment the plan says. It is fixed before the run, so a slow bank cannot slow the questions down."),
    ("Sent", "the first byte was written to the socket. Sent minus due is the load generator's own lateness."),
    ("Answered", "the answer was complete, or the request was given up. A request given up is unknown, not failed."),
    ("Visible", "the channel's transaction that shows the deposit in the account's history was committed."),
];
