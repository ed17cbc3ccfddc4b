//! A channel's calls.

use bankstorm_contracts::channel_api::{
    DEFAULT_PAGE, HistoryPage, MAX_PAGE, RedriveAnswer, RedriveRequest, SubmitTransfer, SyncAnswer, TransferView,
};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, TransferId};
use serde_json::{Value, json};

use super::Document;

/// A channel's document.
pub fn document() -> Value {
    let mut document = Document::new();
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE });
    let cursor = json!({ "type": "integer", "format": "int64", "minimum": 1 });
    document
        .call("get", "/v1/accounts/{no}/history", "history", "A page of an account's history, newest entry first")
        .path_parameter::<AccountNo>("no", "The account.")
        .query("cursor", "The `next_cursor` of the page before; none asks for the newest page.", cursor)
        .query("limit", "At most this many entries.", limit)
        .answer::<HistoryPage>(200, "The page.")
        .problem(ProblemKind::BadRequest, "A parameter cannot be taken; it is named.")
        .problem(ProblemKind::NotFound, "There is no such account.")
        .problem(ProblemKind::Unknown, "The page could not be read, and the store is there.")
        .not_started()
        .done();
    document
        .call("post", "/v1/transfers", "submit", "A customer sends money")
        .body::<SubmitTransfer>()
        .answer::<TransferView>(201, "Posted by this very request, and in the history.")
        .answer::<TransferView>(200, "How it stands: it was settled before, or is refused for good, with the reason.")
        .answer::<TransferView>(202, "Nobody knows yet; it will be settled. The customer reads the message.")
        .problem(
            ProblemKind::TransferPending,
            "Another transfer of the customer is in progress, and named; nothing was done.",
        )
        .problem(ProblemKind::ParamDrift, "The id is bound to other parameters; nothing was done.")
        .effects()
        .done();
    document
        .call("get", "/v1/transfers/{id}", "transfer", "How a transfer stands")
        .path_parameter::<TransferId>("id", "The transfer.")
        .answer::<TransferView>(200, "How it stands.")
        .problem(ProblemKind::BadRequest, "The id is no UUID.")
        .problem(ProblemKind::NotFound, "There is no such transfer.")
        .problem(ProblemKind::Unknown, "It could not be read, and the store is there.")
        .not_started()
        .done();
    copies(&mut document);
    document.finish("Bankstorm channel", "Serves customers from its own copy of core's history.")
}

fn copies(document: &mut Document) {
    document
        .call("post", "/v1/accounts/{no}/sync", "sync", "The button: bring the account's copy to where core is now")
        .path_parameter::<AccountNo>("no", "The account.")
        .answer::<SyncAnswer>(200, "What it came to; the copy is never behind where it was before.")
        .problem(ProblemKind::BadRequest, "The number is no account's.")
        .problem(ProblemKind::NotFound, "There is no such account.")
        .effects()
        .done();
    document
        .call(
            "post",
            "/v1/dead-letters/redrive",
            "redrive",
            "Try dead letters again, oldest first, and close those overtaken",
        )
        .body::<RedriveRequest>()
        .answer::<RedriveAnswer>(200, "What became of them; those that failed again stay open.")
        .problem(ProblemKind::Unknown, "Nobody can tell how far it came; to ask again is safe.")
        .done();
}
