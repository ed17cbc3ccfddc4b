//! Bad data on purpose: one account's rows cannot be stored, as if what came for it broke a rule of the table.
//!
//! In: a database's address, an account. Out: a trigger on the copy's entries, and its removal. Elsewhere: who asks for it (the harness's
//! fault `row.poison`); what a channel does about such a record (`channel`, D1, D38).

use bankstorm_contracts::AccountNo;
use bankstorm_outside::StoreError;

use super::apply;

/// Whatever stood there before is replaced, so that it may be asked for again.
const POISON: &str = "
create or replace function poisoned() returns trigger language plpgsql as $$
begin raise exception using errcode = '23514', message = 'poisoned on purpose'; end $$;
drop trigger if exists poisoned on entry;
create trigger poisoned before insert on entry for each row when (new.account = ACCOUNT) execute function poisoned();
";
const CURE: &str = "drop trigger if exists poisoned on entry; drop function if exists poisoned();";

/// From now on no entry of `account` can be stored: SQLSTATE 23514, which is permanent.
pub async fn poison(url: &str, account: AccountNo) -> Result<(), StoreError> {
    apply(url, &POISON.replace("ACCOUNT", &account.get().to_string())).await
}

/// Ends it; no error where nothing is poisoned.
pub async fn cure(url: &str) -> Result<(), StoreError> {
    apply(url, CURE).await
}
