//! The other banks' calls.

use bankstorm_contracts::TransferId;
use bankstorm_contracts::banks_api::{Credit, CreditAnswer, TakenOn};
use bankstorm_contracts::problem::ProblemKind;
use serde_json::Value;

use super::Document;

/// The other banks' document.
pub fn document() -> Value {
    let mut document = Document::new();
    document
        .call(
            "post",
            "/v1/credits",
            "credit",
            "Money for an account at another bank; the same id again is credited once",
        )
        .named()
        .body::<Credit>()
        .answer::<CreditAnswer>(200, "The definite answer.")
        .answer::<TakenOn>(
            202,
            "Taken on: the answer comes to core by callback, if it comes. Whoever asks again gets it.",
        )
        .problem(ProblemKind::ParamDrift, "The id is bound to other parameters; nothing was done.")
        .effects()
        .done();
    document
        .call("post", "/v1/credits/{id}/cancel", "cancel", "Unless it was credited, it never will be")
        .path_parameter::<TransferId>("id", "The transfer.")
        .named()
        .answer::<CreditAnswer>(200, "The definite answer.")
        .problem(ProblemKind::BadRequest, "The id is no UUID.")
        .effects()
        .done();
    document.finish(
        "Bankstorm banks",
        "The other banks: they answer late, never or twice, and never contradict themselves.",
    )
}
