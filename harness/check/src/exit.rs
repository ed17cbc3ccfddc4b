//! The exit code of a run that was judged.
//!
//! In: the three verdicts, and whether the environment was lost. Out: a code. Elsewhere: 1 (a panic) and 2 (usage), which never get this
//! far.

use bankstorm_record::run_json::{GuaranteeVerdict, SloVerdict, ValidityVerdict};

/// Everything held.
pub const HELD: i32 = 0;
/// The environment did not come up or was lost.
pub const ENVIRONMENT: i32 = 3;
/// The run is invalid or inconclusive, or something is not known.
pub const NOT_CONCLUSIVE: i32 = 4;
/// An objective was missed.
pub const OBJECTIVE_MISSED: i32 = 5;
/// A guarantee was violated.
pub const VIOLATED: i32 = 6;

/// The code, by precedence: 6 (also in an invalid run), 3, 4, 5, 0. An objective that a valid run did not measure is 4.
pub fn code(guarantees: GuaranteeVerdict, environment_lost: bool, validity: ValidityVerdict, slo: SloVerdict) -> i32 {
    if guarantees == GuaranteeVerdict::Violated {
        VIOLATED
    } else if environment_lost {
        ENVIRONMENT
    } else if guarantees == GuaranteeVerdict::Unknown
        || validity != ValidityVerdict::Valid
        || slo == SloVerdict::Unmeasured
    {
        NOT_CONCLUSIVE
    } else if slo == SloVerdict::Missed {
        OBJECTIVE_MISSED
    } else {
        HELD
    }
}

/// What an arm adds to the code of its run: whether it showed what was expected of it, and with which code. One that expects a violation
/// and shows it adds nothing; one that does not show it leaves the question open, also where those who were to see it see nothing and others
/// do (not `named`).
pub const fn of_arm(expects_violation: bool, own: i32, named: bool) -> (bool, i32) {
    match (expects_violation, own) {
        (true, VIOLATED) if named => (true, HELD),
        (true, ENVIRONMENT) => (false, ENVIRONMENT),
        (true, _) => (false, NOT_CONCLUSIVE),
        (false, own) => (own == HELD || own == OBJECTIVE_MISSED, own),
    }
}

/// Whether one of the checks that an arm names is among the violated ones; where it names none any is.
pub fn is_named<'a>(by: &[String], violated: impl IntoIterator<Item = &'a str>) -> bool {
    by.is_empty() || violated.into_iter().any(|id| by.iter().any(|named| named == id))
}

/// The worst of several codes, by precedence.
pub fn worst(codes: impl IntoIterator<Item = i32>) -> i32 {
    let rank =
        |code: &i32| [HELD, OBJECTIVE_MISSED, NOT_CONCLUSIVE, ENVIRONMENT, VIOLATED].iter().position(|one| one == code);
    codes.into_iter().max_by_key(rank).unwrap_or(HELD)
}

#[cfg(test)]
mod tests {
    use bankstorm_record::run_json::GuaranteeVerdict::{Holds, Unknown, Violated};
    use bankstorm_record::run_json::SloVerdict::{Met, Missed, Unmeasured};
    use bankstorm_record::run_json::ValidityVerdict::{Inconclusive, Invalid, Valid};

    use super::{code, is_named, of_arm, worst};

    #[test]
    fn precedence_is_6_3_4_5_0() {
        let cases = [
            (Holds, false, Valid, Met, 0),
            (Holds, false, Valid, Missed, 5),
            (Holds, false, Valid, Unmeasured, 4),
            (Holds, false, Invalid, Unmeasured, 4),
            (Holds, false, Inconclusive, Unmeasured, 4),
            (Unknown, false, Valid, Missed, 4),
            (Unknown, true, Inconclusive, Unmeasured, 3),
            (Holds, true, Inconclusive, Unmeasured, 3),
            (Violated, true, Inconclusive, Unmeasured, 6),
            (Violated, false, Invalid, Unmeasured, 6),
            (Violated, false, Valid, Met, 6),
        ];
        for (guarantees, lost, validity, slo, expected) in cases {
            assert_eq!(code(guarantees, lost, validity, slo), expected, "{guarantees:?} {lost} {validity:?} {slo:?}");
        }
    }
    #[test]
    fn an_arm_that_shows_the_violation_it_is_there_for_spoils_nothing() {
        for (expects_violation, own, named, expected) in [
            (true, 6, true, (true, 0)),
            (true, 6, false, (false, 4)),
            (true, 0, false, (false, 4)),
            (true, 4, false, (false, 4)),
            (true, 5, false, (false, 4)),
            (true, 3, false, (false, 3)),
            (false, 6, true, (false, 6)),
            (false, 0, true, (true, 0)),
            (false, 5, true, (true, 5)),
            (false, 4, true, (false, 4)),
        ] {
            assert_eq!(of_arm(expects_violation, own, named), expected, "{expects_violation} {own} {named}");
        }
        let by = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let violated = ["L2", "O1"];
        assert!(is_named(&by(&[]), violated) && is_named(&by(&["O1"]), violated));
        assert!(is_named(&by(&["O3", "L2"]), violated) && !is_named(&by(&["O3"]), violated));
        assert_eq!(worst([0, 5, 4]), 4);
        assert_eq!(worst([4, 3, 5]), 3);
        assert_eq!(worst([0, 6, 3]), 6);
        assert_eq!(worst([]), 0);
    }
}
