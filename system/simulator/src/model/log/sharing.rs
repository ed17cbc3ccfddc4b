//! Who gets which partition: sticky and even.
//!
//! In: partitions, members, who owns what now. Out: who should. Elsewhere: how partitions get there (`group`).

use std::collections::BTreeMap;

use super::partitions::Slot;

/// A member's number in its log.
pub(super) type MemberId = u64;

/// Shares partitions so that no two members differ by more than one and as few as possible move. `owners` is by slot; one that is
/// missing has none.
pub(super) fn share(
    partitions: &[Slot],
    members: &[MemberId],
    owners: &[Option<MemberId>],
) -> BTreeMap<Slot, MemberId> {
    let mut target = BTreeMap::new();
    if members.is_empty() {
        return target;
    }
    let mut holding: BTreeMap<MemberId, Vec<Slot>> = members.iter().map(|member| (*member, Vec::new())).collect();
    for slot in partitions {
        let owner = owners.get(*slot).copied().flatten();
        if let Some(kept) = owner.and_then(|owner| holding.get_mut(&owner)) {
            kept.push(*slot);
        }
    }
    let (least, mut larger) = (partitions.len() / members.len(), partitions.len() % members.len());
    // Who holds most keeps one more than the rest, where the division leaves a remainder.
    let mut by_holding: Vec<_> = holding.into_iter().collect();
    by_holding.sort_by_key(|(member, held)| (std::cmp::Reverse(held.len()), *member));
    let mut room = BTreeMap::new();
    for (member, held) in by_holding {
        let quota = if larger > 0 { least + 1 } else { least };
        larger = larger.saturating_sub(1);
        target.extend(held.iter().take(quota).map(|slot| (*slot, member)));
        room.insert(member, quota - held.len().min(quota));
    }
    let mut takers = room.into_iter().flat_map(|(member, room)| std::iter::repeat_n(member, room));
    for slot in partitions {
        if !target.contains_key(slot)
            && let Some(taker) = takers.next()
        {
            target.insert(*slot, taker);
        }
    }
    target
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::share;

    #[test]
    fn shares_are_even_complete_and_sticky_whoever_comes_or_goes() {
        let mut owners = vec![None; 10];
        let all: Vec<_> = (0..10).collect();
        for members in [vec![1], vec![1, 2], vec![1, 2, 3], vec![2, 3], vec![3, 4, 5, 6]] {
            let target = share(&all, &members, &owners);
            assert_eq!(target.len(), all.len(), "every partition has an owner");
            let mut counts: BTreeMap<_, usize> = members.iter().map(|member| (*member, 0)).collect();
            for owner in target.values() {
                *counts.get_mut(owner).expect("owners are members") += 1;
            }
            let (least, most) = (counts.values().min().expect("members"), counts.values().max().expect("members"));
            assert!(most - least <= 1, "{counts:?}");
            for (member, count) in &counts {
                let before = all.iter().filter(|slot| owners[**slot] == Some(*member)).count();
                let stays = |slot: &&usize| owners[**slot] == Some(*member) && target[*slot] == *member;
                let kept = all.iter().filter(stays).count();
                assert_eq!(kept, before.min(*count), "member {member} keeps what its share allows");
            }
            owners = all.iter().map(|slot| target.get(slot).copied()).collect();
        }
        assert!(share(&all, &[], &owners).is_empty());
    }
}
