//! `--unsafe KEY=ARM`: weaker arms of protections, as the services name them.
//!
//! In: the command line's words. Out: settings of core and of a channel, and a warning for each that is off. Elsewhere: the words
//! (`scenario::protections`), what the arms do (`core::config`, `channel::config`).

use bankstorm_channel::config::{ChannelConfig, DueClock, Guard, Polling, Settling};
use bankstorm_core::config::{AccountLock, Binding, DeadlineCheck, Fence, KeyClaim, LockOrder, Protections, Voiding};
use bankstorm_scenario::protections as words;

use crate::error::CliError;

/// Core's.
pub(super) fn of_core(given: &[String]) -> Result<Protections, CliError> {
    let words = read(given, "core")?;
    Ok(Protections {
        key: match words.key {
            words::KeyClaim::InTheBooking => KeyClaim::InTheBooking,
            words::KeyClaim::None => KeyClaim::None,
            words::KeyClaim::BeforeTheBooking => KeyClaim::BeforeTheBooking,
            words::KeyClaim::AfterTheBooking => KeyClaim::AfterTheBooking,
        },
        binding: match words.binding {
            words::Binding::ParamsHash => Binding::ParamsHash,
            words::Binding::IdAlone => Binding::IdAlone,
        },
        deadline_check: match words.deadline_check {
            words::DeadlineCheck::UnderTheLock => DeadlineCheck::UnderTheLock,
            words::DeadlineCheck::AtArrival => DeadlineCheck::AtArrival,
            words::DeadlineCheck::Never => DeadlineCheck::Never,
        },
        fence: match words.fence {
            words::Fence::Tombstone => Fence::Tombstone,
            words::Fence::PlainRead => Fence::PlainRead,
        },
        account_lock: match words.account_lock {
            words::AccountLock::Row => AccountLock::Row,
            words::AccountLock::None => AccountLock::None,
        },
        lock_order: match words.lock_order {
            words::LockOrder::ByAccount => LockOrder::ByAccount,
            words::LockOrder::PayerFirst => LockOrder::PayerFirst,
        },
        voiding: match words.voiding {
            words::Voiding::DefiniteNo => Voiding::DefiniteNo,
            words::Voiding::OnExpiry => Voiding::OnExpiry,
        },
    })
}

/// A channel's settings with its weaker arms; `guard` is of whom it takes one transfer at a time.
pub(super) fn of_channel(given: &[String], guard: Guard) -> Result<ChannelConfig, CliError> {
    let words = read(given, "channel")?;
    Ok(ChannelConfig {
        guard: match words.guard {
            words::Guarding::Index => guard,
            words::Guarding::None => Guard::None,
            words::Guarding::CheckThenInsert => Guard::CheckThenInsert,
        },
        polling: match words.polling {
            words::Polling::On => Polling::On,
            words::Polling::Off => Polling::Off,
        },
        clock: match words.clock {
            words::DueClock::Database => DueClock::Database,
            words::DueClock::Process => DueClock::Process,
        },
        settling: match words.settling {
            words::Settling::OneTransaction => Settling::OneTransaction,
            words::Settling::Two => Settling::Two,
        },
        ..ChannelConfig::default()
    })
}

fn read(given: &[String], process: &'static str) -> Result<words::Protections, CliError> {
    let mut protections = words::Protections::default();
    for text in given {
        let refused = |problem: String| CliError::Usage(format!("--unsafe {text}: {problem}"));
        let (key, arm) = text.split_once('=').ok_or_else(|| refused("accepted is KEY=ARM".to_owned()))?;
        protections.take(key, arm).map_err(refused)?;
    }
    for weaker in protections.weaker() {
        if weaker.process != process {
            let problem = format!("--unsafe {}={}: {process} does not decide it", weaker.key, weaker.arm);
            return Err(CliError::Usage(format!("{problem}; {} does", weaker.process)));
        }
        tracing::warn!(protection = weaker.row, key = weaker.key, arm = weaker.arm, "a protection is off");
    }
    Ok(protections)
}

#[cfg(test)]
mod tests {
    use bankstorm_channel::config::{ChannelConfig, Guard, Settling};
    use bankstorm_core::config::{Fence, Protections};

    use super::{of_channel, of_core};

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn without_a_word_everything_is_on() {
        assert_eq!(of_core(&[]).expect("none"), Protections::default());
        let safe = ChannelConfig { guard: Guard::Account, ..ChannelConfig::default() };
        assert_eq!(of_channel(&[], Guard::Account).expect("none"), safe);
    }

    #[test]
    fn each_process_takes_its_own_words_and_no_others() {
        assert_eq!(of_core(&words(&["fence=plain_read"])).expect("core's").fence, Fence::PlainRead);
        let channel = of_channel(&words(&["settling=two", "guard=none"]), Guard::User).expect("a channel's");
        assert_eq!((channel.settling, channel.guard), (Settling::Two, Guard::None));
        for (said, expected) in [
            (of_core(&words(&["settling=two"])).map(drop), "core does not decide it; channel does"),
            (of_channel(&words(&["fence=plain_read"]), Guard::User).map(drop), "channel does not decide it; core does"),
            (of_core(&words(&["fence"])).map(drop), "accepted is KEY=ARM"),
            (of_core(&words(&["fence=read"])).map(drop), "fence has no arm \"read\""),
        ] {
            let said = said.expect_err("refused").to_string();
            assert!(said.contains(expected), "{said}");
        }
    }
}
