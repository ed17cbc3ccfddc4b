//! Who gets which partition: sticky and even.
//!
//! In: partitions, members, who owns what now. Out: who should. Elsewhere: how partitions get there (`group`).

use std::collections::BTreeMap;

use bankstorm_outside::log::TopicPartition;

/// A member's number in its log.
pub(super) type MemberId = u64;

/// Shares partitions so that no two members differ by more than one and as few as possible move.
pub(super) fn share(
    partitions: &[TopicPartition],
    members: &[MemberId],
    owners: &BTreeMap<TopicPartition, MemberId>,
) -> BTreeMap<TopicPartition, MemberId> {
    let mut target = BTreeMap::new();
    if members.is_empty() {
        return target;
    }
    let mut holding: BTreeMap<MemberId, Vec<&TopicPartition>> =
        members.iter().map(|member| (*member, Vec::new())).collect();
    for partition in partitions {
        if let Some(kept) = owners.get(partition).and_then(|owner| holding.get_mut(owner)) {
            kept.push(partition);
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
        for partition in held.iter().take(quota) {
            target.insert((*partition).clone(), member);
        }
        room.insert(member, quota - held.len().min(quota));
    }
    let mut takers = room.into_iter().flat_map(|(member, room)| std::iter::repeat_n(member, room));
    for partition in partitions {
        if !target.contains_key(partition)
            && let Some(taker) = takers.next()
        {
            target.insert(partition.clone(), taker);
        }
    }
    target
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bankstorm_outside::log::TopicPartition;

    use super::share;

    fn partitions(count: i32) -> Vec<TopicPartition> {
        (0..count).map(|partition| TopicPartition { topic: "t".to_owned(), partition }).collect()
    }

    #[test]
    fn shares_are_even_complete_and_sticky_whoever_comes_or_goes() {
        let mut owners = BTreeMap::new();
        let all = partitions(10);
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
                let before = all.iter().filter(|at| owners.get(*at) == Some(member)).count();
                let kept = all.iter().filter(|at| owners.get(*at) == Some(member) && target[*at] == *member).count();
                assert_eq!(kept, before.min(*count), "member {member} keeps what its share allows");
            }
            owners = target;
        }
        assert!(share(&all, &[], &owners).is_empty());
    }
}
