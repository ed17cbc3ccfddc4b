//! What holds for any batch.

use proptest::prelude::*;

use super::*;

/// (kind, from, to, amount, luck): what one order is, by small numbers.
type Drawn = (u8, i64, i64, i64, u8);

fn order(number: u128, (kind, from, to, amount, _): Drawn) -> Order {
    let account = |place: i64| 1_000_000 + place;
    // A transfer to itself is refused at the door.
    let other = if from == to { (to + 1) % 6 } else { to };
    match kind {
        0 => deposit(number, account(from), amount),
        1 => transfer(number, account(from), account(other), amount),
        _ => outbound(number, account(from), amount),
    }
}

proptest! {
    #[test]
    fn money_is_conserved_every_chain_holds_and_nothing_is_spent_twice(
        drawn in prop::collection::vec((0_u8..3, 0_i64..6, 0_i64..6, 1_i64..2_000, 0_u8..6), 0..60),
        opening in prop::collection::vec((0_i64..5_000, 0_i64..1_000, 0_usize..8), 4),
        alone in any::<bool>(),
    ) {
        let orders: Vec<Order> = (1_u128..).zip(&drawn).map(|(number, drawn)| order(number, *drawn)).collect();
        let claimed: Vec<Claimed> = orders.iter().zip(&drawn).map(|(order, drawn)| match drawn.4 {
            0 => record(order, order.hash, TransferState::Completed, None),
            _ => Claimed::New,
        }).collect();
        let expired: Vec<TransferId> =
            orders.iter().zip(&drawn).filter(|(_, drawn)| drawn.4 == 1).map(|(order, _)| order.id()).collect();
        let rows: Vec<AccountRow> = (0..).zip(&opening).map(|(at, (balance, held, status))| {
            let status = AccountStatus::ALL.get(*status).copied().unwrap_or(AccountStatus::Open);
            with(status, holding(*held.min(balance), row(1_000_000 + at, at * 3, *balance)))
        }).collect();
        let absent = if alone { Absent::Unknown } else { Absent::MaybeHeld };
        let plan = plan(&orders, &claimed, &locked(&rows), &Terms { expired: &expired, ..Terms::plain(absent) });

        for pair in plan.writes.legs.chunks(2) {
            prop_assert_eq!(pair[0].transfer, pair[1].transfer);
            prop_assert_eq!(pair[0].amount.get() + pair[1].amount.get(), 0);
        }
        for row in &rows {
            let mut last = row.head;
            for leg in plan.writes.legs.iter().filter(|leg| leg.account == row.head.account) {
                prop_assert_eq!(leg.seq, Some(last.seq + 1));
                prop_assert_eq!(leg.balance_after, last.balance.checked_add(leg.amount));
                last = leg.entry().expect("a customer's leg").head();
            }
            let written = plan.writes.heads.iter().find(|head| head.account == row.head.account);
            prop_assert_eq!(written.copied(), (last != row.head).then_some(last));
            let placed: i64 =
                plan.writes.holds.iter().filter(|hold| hold.account == row.head.account).map(|hold| hold.amount.get()).sum();
            let held = plan.writes.held.iter().find(|(account, _)| *account == row.head.account);
            prop_assert_eq!(held.map(|(_, held)| held.get()), (placed > 0).then_some(row.held.get() + placed));
            prop_assert!(last.balance.get() >= row.held.get() + placed, "what is held is there");
        }
        let new = claimed.iter().filter(|claim| **claim == Claimed::New).count();
        let writes = &plan.writes;
        prop_assert_eq!(writes.settled.len() + writes.released.len() + writes.holds.len(), new);
        prop_assert!(!alone || writes.released.is_empty());
        let customers = writes.legs.iter().filter(|leg| !leg.account.is_internal()).count();
        prop_assert_eq!(writes.outbox.len(), customers);
        for (order, answer) in orders.iter().zip(&plan.answers) {
            prop_assert_eq!(answer.is_none(), writes.released.contains(&order.id()));
        }
    }
}
