//! `--unsafe KEY=ARM`: weaker arms of protections, as the services name them.
//!
//! In: the command line's words. Out: settings of core and of a channel, and a warning for each that is off. Elsewhere: the words
//! (`scenario::protections`), what the arms do (`core::config`, `adapters::kafka`,
//! `channel::config`).

use bankstorm_adapters::kafka::Producer;
use bankstorm_channel::config::{
    Applying, ChannelConfig, Cursor, DeadLetters, DueClock, Gaps, GenerationFence, Guard, HoleMarker, Offsets, Polling,
    ReadSync, Redriving, Retrying, Settling, SlotHash, Sweeping, SyncWrites,
};
use bankstorm_core::config::{
    AccountLock, Binding, DeadlineCheck, Fence, KeyClaim, LockOrder, Outbox, Protections, RecordKey, RelayScan, Voiding,
};
use bankstorm_scenario::protections as words;

use crate::error::CliError;

/// Core's, and how its relay produces.
pub(super) fn of_core(given: &[String]) -> Result<(Protections, Producer), CliError> {
    let words = read(given, "core")?;
    let producer = match words.producer {
        words::Producer::Idempotent => Producer::Idempotent,
        words::Producer::Plain => Producer::Plain,
    };
    let protections = Protections {
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
        outbox: match words.outbox {
            words::Outbox::InTheBooking => Outbox::InTheBooking,
            words::Outbox::DirectProduce => Outbox::DirectProduce,
            words::Outbox::ProduceBeforeCommit => Outbox::ProduceBeforeCommit,
        },
        relay_scan: match words.relay_scan {
            words::RelayScan::UnsentRows => RelayScan::UnsentRows,
            words::RelayScan::IdWatermark => RelayScan::IdWatermark,
        },
        record_key: match words.record_key {
            words::RecordKey::Account => RecordKey::Account,
            words::RecordKey::Random => RecordKey::Random,
        },
    };
    Ok((protections, producer))
}

/// A channel's settings with its weaker arms; `guard` is of whom it takes one transfer at a time, `read_sync` when its reads ask core.
pub(super) fn of_channel(given: &[String], guard: Guard, read_sync: ReadSync) -> Result<ChannelConfig, CliError> {
    let words = read(given, "channel")?;
    let config = ChannelConfig {
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
        read_sync: match words.read_sync {
            words::ReadSyncing::On => read_sync,
            words::ReadSyncing::Off => ReadSync::Off,
        },
        cursor: match words.cursor {
            words::Cursor::Keyset => Cursor::Keyset,
            words::Cursor::Offset => Cursor::Offset,
        },
        ..copying(&words)
    };
    Ok(match words.repair {
        words::Repair::On => config,
        words::Repair::Off => without_repair(config),
    })
}

/// How records become a copy.
fn copying(words: &words::Protections) -> ChannelConfig {
    ChannelConfig {
        applying: match words.applying {
            words::Applying::SeqConditional => Applying::SeqConditional,
            words::Applying::Unconditional => Applying::Unconditional,
        },
        gaps: match words.gaps {
            words::Gaps::Fill => Gaps::Fill,
            words::Gaps::Ignore => Gaps::Ignore,
        },
        sweeping: match words.sweep {
            words::Sweep::On => Sweeping::On,
            words::Sweep::Off => Sweeping::Off,
        },
        retrying: match words.retrying {
            words::Retrying::InPlace => Retrying::InPlace,
            words::Retrying::None => Retrying::None,
        },
        dead_letters: match words.dead_letters {
            words::DeadLetters::Topic => DeadLetters::Topic,
            words::DeadLetters::Drop => DeadLetters::Drop,
        },
        hole_marker: match words.hole_marker {
            words::HoleMarker::On => HoleMarker::On,
            words::HoleMarker::Off => HoleMarker::Off,
        },
        offsets: match words.offsets {
            words::Offsets::LowWatermark => Offsets::LowWatermark,
            words::Offsets::OnPoll => Offsets::OnPoll,
            words::Offsets::HighestDone => Offsets::HighestDone,
        },
        generation_fence: match words.generation_fence {
            words::GenerationFence::On => GenerationFence::On,
            words::GenerationFence::Off => GenerationFence::Off,
        },
        sync_writes: match words.sync_writes {
            words::SyncWrites::CompareAndSet => SyncWrites::CompareAndSet,
            words::SyncWrites::Overwrite => SyncWrites::Overwrite,
        },
        slot_hash: match words.slot_hash {
            words::SlotHash::Independent => SlotHash::Independent,
            words::SlotHash::Partitioner => SlotHash::Partitioner,
        },
        ..ChannelConfig::default()
    }
}

/// Nothing asks core to mend a copy. A gap that was to be ignored still is.
fn without_repair(config: ChannelConfig) -> ChannelConfig {
    ChannelConfig {
        gaps: match config.gaps {
            Gaps::Fill | Gaps::Wait => Gaps::Wait,
            Gaps::Ignore => Gaps::Ignore,
        },
        read_sync: ReadSync::Off,
        manual_sync: false,
        sweeping: Sweeping::Off,
        redriving: Redriving::OnCommand,
        ..config
    }
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
    use bankstorm_adapters::kafka::Producer;
    use bankstorm_channel::config::{
        Applying, ChannelConfig, Cursor, DeadLetters, Gaps, GenerationFence, Guard, HoleMarker, Offsets, ReadSync,
        Redriving, Retrying, Settling, SlotHash, Sweeping, SyncWrites,
    };
    use bankstorm_core::config::{Fence, Outbox, Protections, RecordKey, RelayScan};

    use super::{of_channel, of_core};

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn without_a_word_everything_is_on() {
        assert_eq!(of_core(&[]).expect("none"), (Protections::default(), Producer::Idempotent));
        let safe = ChannelConfig { guard: Guard::Account, ..ChannelConfig::default() };
        assert_eq!(of_channel(&[], Guard::Account, ReadSync::Pending).expect("none"), safe);
    }

    #[test]
    fn each_process_takes_its_own_words_and_no_others() {
        assert_eq!(of_core(&words(&["fence=plain_read"])).expect("core's").0.fence, Fence::PlainRead);
        let given = ["outbox=direct_produce", "relay_scan=id_watermark", "record_key=random", "producer=plain"];
        let (core, producer) = of_core(&words(&given)).expect("core's");
        let (outbox, relay_scan, record_key) = (Outbox::DirectProduce, RelayScan::IdWatermark, RecordKey::Random);
        assert_eq!(core, Protections { outbox, relay_scan, record_key, ..Protections::default() });
        assert_eq!(producer, Producer::Plain);
        let channel =
            of_channel(&words(&["settling=two", "guard=none"]), Guard::User, ReadSync::Pending).expect("a channel's");
        assert_eq!((channel.settling, channel.guard), (Settling::Two, Guard::None));
        for (said, expected) in [
            (of_core(&words(&["settling=two"])).map(drop), "core does not decide it; channel does"),
            (
                of_channel(&words(&["fence=plain_read"]), Guard::User, ReadSync::Pending).map(drop),
                "channel does not decide it; core does",
            ),
            (of_core(&words(&["fence"])).map(drop), "accepted is KEY=ARM"),
            (of_core(&words(&["fence=read"])).map(drop), "fence has no arm \"read\""),
        ] {
            let said = said.expect_err("refused").to_string();
            assert!(said.contains(expected), "{said}");
        }
    }

    #[test]
    fn a_channels_words_about_the_copy_are_settings() {
        let safe = ChannelConfig::default;
        for (word, expected) in [
            ("applying=unconditional", ChannelConfig { applying: Applying::Unconditional, ..safe() }),
            ("gaps=ignore", ChannelConfig { gaps: Gaps::Ignore, ..safe() }),
            ("sweep=off", ChannelConfig { sweeping: Sweeping::Off, ..safe() }),
            ("retrying=none", ChannelConfig { retrying: Retrying::None, ..safe() }),
            ("dead_letters=drop", ChannelConfig { dead_letters: DeadLetters::Drop, ..safe() }),
            ("hole_marker=off", ChannelConfig { hole_marker: HoleMarker::Off, ..safe() }),
            ("offsets=on_poll", ChannelConfig { offsets: Offsets::OnPoll, ..safe() }),
            ("offsets=highest_done", ChannelConfig { offsets: Offsets::HighestDone, ..safe() }),
            ("generation_fence=off", ChannelConfig { generation_fence: GenerationFence::Off, ..safe() }),
            ("read_sync=off", ChannelConfig { read_sync: ReadSync::Off, ..safe() }),
            ("sync_writes=overwrite", ChannelConfig { sync_writes: SyncWrites::Overwrite, ..safe() }),
            ("cursor=offset", ChannelConfig { cursor: Cursor::Offset, ..safe() }),
            ("slot_hash=partitioner", ChannelConfig { slot_hash: SlotHash::Partitioner, ..safe() }),
        ] {
            assert_eq!(of_channel(&words(&[word]), Guard::User, ReadSync::Pending).expect(word), expected, "{word}");
        }
    }

    #[test]
    fn without_repair_nothing_asks_core_and_what_else_is_off_stays_off() {
        let off = of_channel(&words(&["repair=off"]), Guard::User, ReadSync::Suspect).expect("a word");
        let expected = ChannelConfig {
            gaps: Gaps::Wait,
            read_sync: ReadSync::Off,
            manual_sync: false,
            sweeping: Sweeping::Off,
            redriving: Redriving::OnCommand,
            ..ChannelConfig::default()
        };
        assert_eq!(off, expected);
        let given = words(&["repair=off", "gaps=ignore"]);
        assert_eq!(of_channel(&given, Guard::User, ReadSync::Pending).expect("words").gaps, Gaps::Ignore);
    }
}
