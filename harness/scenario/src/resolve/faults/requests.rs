//! Requests: calls that a service has, of those that whoever listens at the end of a link takes.
//!
//! In: `of` as typed, and a link. Out: the same, or the calls that would be accepted. Elsewhere: which calls there are
//! (`bankstorm_contracts::calls`), how a proxy tells requests by it (`chaos/proxy`), which of them are picked (`rules`).

use bankstorm_contracts::calls::calls;
use bankstorm_faults::nodes::ends;

use crate::error::nearest;
use crate::resolve::Refusal;

/// A request that nobody ever takes would only be found out at the end of the run, by a fault without a witness. Who listens at `place` is a
/// service.
pub(super) fn check(index: usize, of: &str, place: &str) -> Result<String, Refusal> {
    let listens = ends(place).map_or(place, |(_, listens)| listens);
    let service = listens.split_once('-').map_or(listens, |(service, _number)| service);
    let calls = calls(service);
    if calls.iter().any(|call| can_be(of, call)) {
        return Ok(of.to_owned());
    }
    let message = format!("is \"{of}\", which is no call of {service}, to which {place} leads");
    let help = format!("{}; a `*` stands for one whole part of the path", nearest(of, calls));
    Err(Refusal { help: Some(help), ..Refusal::new(format!("fault.{index}.of"), message) })
}

/// Whether some request is both: one that `of` means, and this call.
fn can_be(of: &str, call: &str) -> bool {
    let (Some((method, path)), Some((own_method, own_path))) = (of.split_once(" /"), call.split_once(" /")) else {
        return false;
    };
    let (parts, own_parts) = (path.split('/'), own_path.split('/'));
    let fits = |(part, own): (&str, &str)| part == own || part == "*" || own == "*" && is_value(part);
    method == own_method && parts.clone().count() == own_parts.clone().count() && parts.zip(own_parts).all(fits)
}

/// An id or a number: no other part of a path differs from call to call.
fn is_value(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::can_be;

    #[test]
    fn a_pattern_can_be_a_call_where_each_part_can() {
        let resolve = "POST /v1/transfers/*/resolve";
        for of in [
            resolve,
            "POST /v1/transfers/0192a0b0-0000-7000-8000-00000000002A/resolve",
            "POST /v1/*/*/resolve",
            "POST /v1/*/1000005/*",
            "POST /*/*/*/*",
        ] {
            assert!(can_be(of, resolve), "{of}");
        }
        for of in [
            "",
            "POST",
            resolve.trim_start_matches("POST "),
            "POST v1/transfers/*/resolve",
            "GET /v1/transfers/*/resolve",
            "post /v1/transfers/*/resolve",
            "* /v1/transfers/*/resolve",
            "POST  /v1/transfers/*/resolve",
            "POST */v1/transfers/*/resolve",
            "POST /v1/transfers/{id}/resolve",
            "POST /v1/transfers/7*/resolve",
            "POST /v1/transfers//resolve",
            "POST /v1/transfers/resolve/resolve",
            "POST /v1/transfers/*/resolv",
            "POST /v1/transfers/*/resolve/",
            "POST /v1/transfers/*/resolve?limit=1",
            "POST /v1/transfers/*",
        ] {
            assert!(!can_be(of, resolve), "{of}");
        }
        assert!(can_be("POST /v1/*", "POST /v1/transfers") && !can_be("POST /", "POST /v1/transfers"));
    }
}
