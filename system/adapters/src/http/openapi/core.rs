//! Core's calls.

use bankstorm_contracts::banks_api::CreditAnswer;
use bankstorm_contracts::core_api::{
    Deposit, Entries, Heads, HeadsRequest, MAX_ENTRIES, PURPOSE_HEADER, Purpose, Transfer, Verdict,
};
use bankstorm_contracts::digest::{DigestRange, Digests, MAX_DIGEST_WIDTH};
use bankstorm_contracts::problem::ProblemKind;
use bankstorm_contracts::{AccountNo, Head, TransferId};
use serde_json::{Value, json};

use super::{Call, Document};

/// Core's document.
pub fn document() -> Value {
    let mut document = Document::new();
    verdicts(document.call("post", "/v1/deposits", "deposit", "Another bank brings money").named().body::<Deposit>());
    verdicts(
        document
            .call("post", "/v1/transfers", "transfer", "A customer's money goes to another account, here or elsewhere")
            .named()
            .body::<Transfer>(),
    );
    document
        .call(
            "post",
            "/v1/transfers/{id}/resolve",
            "resolve",
            "What became of a transfer; an unknown one is refused from now on",
        )
        .path_parameter::<TransferId>("id", "The transfer.")
        .named()
        .answer::<Verdict>(200, "The verdict; `processing` while it is in work.")
        .problem(ProblemKind::BadRequest, "The id is no UUID.")
        .effects()
        .done();
    document
        .call("post", "/v1/outbound/{id}/outcome", "outcome", "Another bank says what became of a credit")
        .path_parameter::<TransferId>("id", "The transfer; the same as in the body.")
        .named()
        .body::<CreditAnswer>()
        .answer::<Verdict>(200, "Core has it; how the transfer stands.")
        .problem(ProblemKind::NotFound, "There is no such transfer to another bank.")
        .effects()
        .done();
    reads(&mut document);
    document.finish("Bankstorm core", "The one service that owns the money.")
}

impl Call<'_> {
    /// The caller may say what it reads for.
    fn why(self) -> Self {
        let words: Vec<&str> = Purpose::ALL.iter().map(|purpose| purpose.as_str()).collect();
        let schema = json!({ "type": "string", "enum": words });
        self.header(
            PURPOSE_HEADER,
            "What the caller reads for, for the access log; any other word counts as none.",
            schema,
        )
    }
}

fn verdicts(call: Call<'_>) {
    call.answer::<Verdict>(201, "Posted by this very request.")
        .answer::<Verdict>(200, "It stood before, or is refused for good, with the reason.")
        .problem(ProblemKind::Processing, "The same id is in work; the outcome is unknown.")
        .problem(ProblemKind::ParamDrift, "The id is bound to other parameters; nothing was done.")
        .effects()
        .done();
}

fn reads(document: &mut Document) {
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": MAX_ENTRIES, "default": MAX_ENTRIES });
    let after = json!({ "type": "integer", "format": "int64", "minimum": 0, "default": 0 });
    let customer = json!({ "type": "integer", "format": "int64", "minimum": AccountNo::FIRST_CUSTOMER });
    document
        .call("get", "/v1/accounts/{no}/entries", "entries", "Entries of an account in the order of their serials")
        .path_parameter::<AccountNo>("no", "The account.")
        .query("after", "Serials above this one.", after)
        .query("limit", "At most this many.", limit)
        .named()
        .why()
        .answer::<Entries>(200, "The entries; none where the account is not known.")
        .problem(ProblemKind::BadRequest, "A parameter cannot be taken; it is named.")
        .not_started()
        .done();
    document
        .call("get", "/v1/accounts/{no}/head", "head", "An account's last serial and balance")
        .path_value("no", "The account.", customer)
        .named()
        .answer::<Head>(200, "The head.")
        .problem(ProblemKind::BadRequest, "The number is not a customer's account.")
        .problem(ProblemKind::NotFound, "There is no such account.")
        .not_started()
        .done();
    document
        .call("post", "/v1/heads", "heads", "Several accounts' last serials and balances")
        .named()
        .why()
        .body::<HeadsRequest>()
        .answer::<Heads>(200, "Those of the known ones, in the order asked.")
        .not_started()
        .done();
    digests(document);
}

fn digests(document: &mut Document) {
    let DigestRange { from: first, to: _, width } = DigestRange::ALL;
    let from = json!({ "type": "integer", "format": "int64", "minimum": first, "default": first });
    let to = json!({ "type": "integer", "format": "int64", "minimum": first });
    let width = json!({ "type": "integer", "minimum": 1, "maximum": MAX_DIGEST_WIDTH, "default": width });
    document
        .call("get", "/v1/heads/digests", "digests", "Digests of the heads in parts of a stretch of account numbers")
        .query("from", "The first number; the parts are counted from here.", from)
        .query("to", "The last number, `from` or later; without it, the last one there is.", to)
        .query("width", "How many numbers a part has; the last one ends with the stretch.", width)
        .named()
        .answer::<Digests>(200, "Of every part that has accounts; `next` where the answer was cut.")
        .problem(ProblemKind::BadRequest, "A parameter cannot be taken; it is named.")
        .not_started()
        .done();
}
