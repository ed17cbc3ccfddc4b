//! `docs/faults.md` against the catalogue: every fault and every parameter has its line there, as it is.
//!
//! In: the page. Out: nothing. Elsewhere: the prose around its tables, which is written by hand.

use super::Parameter;
use crate::plan::Kind;

/// What each fault is.
fn faults() -> String {
    let mut table = "| kind | what it does | done to | takes | how it heals |\n|---|---|---|---|---|\n".to_owned();
    for entry in Kind::ALL.map(Kind::entry) {
        let keys: Vec<String> = entry.keys().iter().map(|key| format!("`{key}`")).collect();
        let keys = if keys.is_empty() { "-".to_owned() } else { keys.join(" ") };
        let line = format!("| `{}` | {} | {} | {keys} | {} |\n", entry.word, entry.about, entry.on, entry.heal_about);
        table.push_str(&line);
    }
    table
}

/// What each parameter means.
fn parameters() -> String {
    let mut table = "| key | what it means |\n|---|---|\n".to_owned();
    for parameter in Parameter::ALL {
        table.push_str(&format!("| `{}` | {} |\n", parameter.word(), parameter.about()));
    }
    table
}

/// The page with `table` in the place of the one that has the same head.
fn with_table(page: &str, table: &str) -> Option<String> {
    let head = table.lines().next()?;
    let begin = page.find(head)?;
    let end = page[begin..].find("\n\n").map_or(page.len(), |end| begin + end + 1);
    Some(format!("{}{table}{}", &page[..begin], &page[end..]))
}

/// With `BANKSTORM_BLESS=1` the tables are written anew instead.
#[test]
fn the_page_of_faults_says_what_the_catalogue_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/faults.md");
    let page = std::fs::read_to_string(path).expect("the page of faults");
    let now = [faults(), parameters()].iter().try_fold(page.clone(), |page, table| with_table(&page, table));
    let now = now.expect("the page has the heads of both tables");
    if std::env::var_os("BANKSTORM_BLESS").is_some() {
        std::fs::write(path, &now).expect("written");
        return;
    }
    assert!(page == now, "{path} differs from the catalogue; BANKSTORM_BLESS=1 writes its tables anew");
}
