//! Digests of heads: what a channel compares its copy with (D6, D43).
//!
//! In: a stretch of account numbers. Out: a digest for each of its parts that has accounts, as many as one call may read. Elsewhere: hash and
//! parts (`contracts::digest`), when it is asked (`channel`).

use bankstorm_contracts::core_api::CoreResponse;
use bankstorm_contracts::digest::{MAX_DIGEST_ACCOUNTS, MAX_DIGEST_PARTS};
use bankstorm_contracts::{DigestRange, Digests, Head};
use bankstorm_outside::bundle::CoreOutside;
use bankstorm_outside::core_store::CoreStore;

use super::Core;

impl<O: CoreOutside> Core<O> {
    pub(super) async fn digests(&self, range: DigestRange) -> CoreResponse {
        match range.validate() {
            Ok(()) => self.digests_of(&range).await.map_or_else(|refusal| refusal, CoreResponse::Digests),
            Err(problem) => CoreResponse::Problem(problem),
        }
    }

    async fn digests_of(&self, range: &DigestRange) -> Result<Digests, CoreResponse> {
        // First among themselves: who waits here keeps no slot in which an account could be read.
        let _slot = self.slot(&self.0.digesting, self.0.config.digest_slots, "digests").await?;
        let read = self.0.outside.store().heads_between(range.from, range.to, MAX_DIGEST_ACCOUNTS + 1);
        Ok(told(range, &self.read(read).await?))
    }
}

/// What one answer tells. `heads` are in account order, one more than may be told where there are more.
fn told(range: &DigestRange, heads: &[Head]) -> Digests {
    let beyond = heads.get(MAX_DIGEST_ACCOUNTS as usize).and_then(|head| range.part_of(head.account));
    // That part is not read to its end. It is not the first one: a part has no more numbers than were read.
    let mut next = beyond.map(|(first, _)| first);
    let whole = heads.iter().filter(|head| next.is_none_or(|next| head.account < next));
    let mut parts = range.parts(whole);
    if let Some(part) = parts.get(MAX_DIGEST_PARTS) {
        next = Some(part.first);
    }
    parts.truncate(MAX_DIGEST_PARTS);
    Digests { parts, next }
}

#[cfg(test)]
mod tests {
    use bankstorm_contracts::digest::{MAX_DIGEST_ACCOUNTS, MAX_DIGEST_PARTS};
    use bankstorm_contracts::{AccountNo, DigestRange, Digests, Head, Won};

    use super::told;

    const FIRST: i64 = AccountNo::FIRST_CUSTOMER;

    /// `count` accounts, one every `apart` numbers.
    fn bank(count: i64, apart: i64) -> Vec<Head> {
        let head =
            |place| Head { account: AccountNo::new(FIRST + place * apart), seq: place % 5, balance: Won::new(place) };
        (0..count).map(head).collect()
    }

    /// As core's store answers.
    fn ask(bank: &[Head], range: DigestRange) -> Digests {
        let between = bank.iter().filter(|head| (range.from..=range.to).contains(&head.account));
        told(&range, &between.take(MAX_DIGEST_ACCOUNTS as usize + 1).copied().collect::<Vec<_>>())
    }

    /// Asks until everything is told; also how many answers it took.
    fn walk(bank: &[Head], range: DigestRange) -> (Digests, usize) {
        let (mut parts, mut from, mut answers) = (Vec::new(), range.from, 0);
        loop {
            let answer = ask(bank, DigestRange { from, ..range });
            answers += 1;
            assert!(answer.parts.len() <= MAX_DIGEST_PARTS);
            let accounts: u32 = answer.parts.iter().map(|part| part.accounts).sum();
            assert!(accounts <= MAX_DIGEST_ACCOUNTS);
            parts.extend(answer.parts);
            match answer.next {
                Some(next) => assert!(std::mem::replace(&mut from, next) < next, "it goes on"),
                None => return (Digests { parts, next: None }, answers),
            }
        }
    }

    #[test]
    fn an_answer_is_cut_at_so_many_accounts_and_goes_on_with_a_whole_part() {
        let most = i64::from(MAX_DIGEST_ACCOUNTS);
        for (count, width, answers, next) in
            [(most, 1_000, 1, None), (most + 1, 1_000, 2, Some(most)), (most + 1, 999, 2, Some(9_990))]
        {
            let (bank, range) = (bank(count, 1), DigestRange { width, ..DigestRange::ALL });
            assert_eq!(ask(&bank, range).next.map(|next| next.get() - FIRST), next, "{count} {width}");
            assert_eq!(walk(&bank, range), (Digests { parts: range.parts(&bank), next: None }, answers));
        }
    }

    #[test]
    fn an_answer_is_cut_at_so_many_parts() {
        let most = i64::try_from(MAX_DIGEST_PARTS).expect("small");
        for (count, answers) in [(most, 1), (most + 1, 2), (2 * most + 1, 3)] {
            let (bank, range) = (bank(count, 1_000_000), DigestRange::ALL);
            assert_eq!(walk(&bank, range), (Digests { parts: range.parts(&bank), next: None }, answers));
        }
    }

    #[test]
    fn a_stretch_that_ends_inside_the_bank_is_told_as_far_as_it_goes() {
        let bank = bank(30_000, 1);
        let range = DigestRange { to: AccountNo::new(FIRST + 10_500), ..DigestRange::ALL };
        let (told, answers) = walk(&bank, range);
        assert_eq!((told.parts.last().map(|part| (part.last, part.accounts)), answers), (Some((range.to, 501)), 2));
        assert_eq!(ask(&bank, DigestRange { from: AccountNo::new(FIRST + 30_000), ..DigestRange::ALL }).parts, []);
    }
}
