//! The other banks' book (`BankBook`): a file in the run folder.
//!
//! In: definite answers. Out: one JSON line each, appended and on disk before it counts. Elsewhere: what is decided (`banks`), who counts the
//! money in it (`harness/evidence`).
//!
//! ```json
//! {"id":"0192...","state":"credited","credit":{"to":{"bank":"088","account":"110-1"},"amount":700}}
//! {"id":"0192...","state":"refused","credit":null}
//! ```
//! `credit` is null where a cancel came before anything was decided. A thread of its own writes: it takes every line that waits, writes them
//! in one go and waits for the disk once. Whatever fails there is taken back by cutting the file to its last good length; if even that
//! fails, the book takes nothing more until it is opened again. A last line without its end was never answered for, and is cut off when
//! the book is opened.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use bankstorm_contracts::banks_api::{Credit, CreditAnswer, CreditState};
use bankstorm_contracts::core_api::Party;
use bankstorm_contracts::{TransferId, Won};
use bankstorm_outside::bank_network::BankBook;
use bankstorm_outside::core_api::CallError;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

/// How long to wait for whoever had the book before and is ending.
const LOCK_LIMIT: Duration = Duration::from_secs(2);
/// Between two looks: a lock that is given back rings no bell.
const LOCK_LOOK: Duration = Duration::from_millis(10);

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookLine {
    /// The transfer.
    pub id: TransferId,
    /// What became of it.
    pub state: CreditState,
    /// Who was to be credited how much, where anybody was.
    pub credit: Option<BookedCredit>,
}

/// The credit of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookedCredit {
    /// Whom it is for.
    pub to: Party,
    /// How much.
    pub amount: Won,
}

/// The book. Clones are the same one.
#[derive(Clone, Debug)]
pub struct FileBook(Arc<Sender<Work>>);

#[derive(Debug)]
enum Work {
    Append(Vec<u8>, oneshot::Sender<Result<(), CallError>>),
    Read(oneshot::Sender<io::Result<Vec<BookLine>>>),
}

impl FileBook {
    /// Opens the book, and makes it where it is not there yet. One process has it at a time. The error names the file, and the line that
    /// cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut pages = Pages::open(path).map_err(|error| named(path, &error))?;
        pages.read().map_err(|error| named(path, &error))?;
        let (work, waiting) = channel();
        thread::Builder::new().name("bank-book".to_owned()).spawn(move || pages.serve(&waiting))?;
        Ok(Self(Arc::new(work)))
    }

    async fn ask<T>(&self, work: impl FnOnce(oneshot::Sender<T>) -> Work) -> Result<T, CallError> {
        let gone = || CallError::Unavailable("the book's thread has ended".to_owned());
        let (answer, answered) = oneshot::channel();
        self.0.send(work(answer)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }
}

impl BankBook for FileBook {
    async fn append(&self, answer: CreditAnswer, credit: Option<&Credit>) -> Result<(), CallError> {
        let credit = credit.map(|credit| BookedCredit { to: credit.to.clone(), amount: credit.amount });
        let line = BookLine { id: answer.id, state: answer.state, credit };
        let mut bytes = serde_json::to_vec(&line).expect("lines have no map keys that JSON lacks");
        bytes.push(b'\n');
        self.ask(|answer| Work::Append(bytes, answer)).await?
    }

    async fn read(&self) -> Result<Vec<(CreditAnswer, Option<Credit>)>, CallError> {
        let lines =
            self.ask(Work::Read).await?.map_err(|error| CallError::Unavailable(format!("the book: {error}")))?;
        Ok(lines.into_iter().map(BookLine::into_parts).collect())
    }
}

impl BookLine {
    fn into_parts(self) -> (CreditAnswer, Option<Credit>) {
        let Self { id, state, credit } = self;
        (CreditAnswer { id, state }, credit.map(|BookedCredit { to, amount }| Credit { id, to, amount }))
    }
}

/// The file, as its thread has it.
struct Pages {
    path: PathBuf,
    file: File,
    /// The length up to which everything is on disk and was answered for.
    good: u64,
    /// Why nothing more is taken.
    broken: Option<String>,
}

/// Makes sure that nobody else writes.
#[expect(
    clippy::disallowed_methods,
    reason = "a lock of a file cannot be awaited, and this is before anything is served"
)]
fn lock(file: &File) -> io::Result<()> {
    for _ in 0..LOCK_LIMIT.as_millis() / LOCK_LOOK.as_millis() {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_LOOK),
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => return Ok(()),
        }
    }
    Err(io::Error::other(format!("another process has had the book for {LOCK_LIMIT:?}")))
}

impl Pages {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        lock(&file)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let good = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if good < bytes.len() {
            tracing::warn!(path = %path.display(), bytes = bytes.len() - good, "the last line has no end; it is cut off");
        }
        let good = u64::try_from(good).expect("files are not that long");
        let mut pages = Self { path: path.to_owned(), file, good, broken: None };
        pages.cut()?;
        Ok(pages)
    }

    fn serve(&mut self, waiting: &Receiver<Work>) {
        while let Ok(first) = waiting.recv() {
            let mut work = vec![first];
            work.extend(waiting.try_iter());
            let (mut lines, mut askers) = (Vec::new(), Vec::new());
            for work in work {
                match work {
                    Work::Append(line, asker) => {
                        lines.extend_from_slice(&line);
                        askers.push(asker);
                    }
                    Work::Read(asker) => {
                        // Whatever came before it is in it.
                        self.append(&std::mem::take(&mut lines), std::mem::take(&mut askers));
                        let _ = asker.send(self.read());
                    }
                }
            }
            self.append(&lines, askers);
        }
    }

    /// Whoever has stopped waiting finds out by reading.
    fn append(&mut self, lines: &[u8], askers: Vec<oneshot::Sender<Result<(), CallError>>>) {
        if askers.is_empty() {
            return;
        }
        let written = self.write(lines).map_err(|error| {
            tracing::error!(%error, "the book was not written");
            CallError::Unavailable(format!("the book: {error}"))
        });
        for asker in askers {
            let _ = asker.send(written.clone());
        }
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if let Some(why) = &self.broken {
            return Err(io::Error::other(why.clone()));
        }
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.good += u64::try_from(lines.len()).expect("lines are not that long");
                Ok(())
            }
            Err(error) => {
                if let Err(worse) = self.cut() {
                    self.broken = Some(format!("not cut back to {} bytes after a failed write: {worse}", self.good));
                }
                Err(error)
            }
        }
    }

    /// Back to the last good length, on disk too.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.good)?;
        self.file.seek(SeekFrom::Start(self.good))?;
        self.file.sync_data()
    }

    fn read(&mut self) -> io::Result<Vec<BookLine>> {
        if let Some(why) = &self.broken {
            return Err(io::Error::other(why.clone()));
        }
        let mut bytes = Vec::new();
        File::open(&self.path)?.take(self.good).read_to_end(&mut bytes)?;
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        (1..)
            .zip(lines)
            .map(|(number, line)| {
                serde_json::from_slice(line).map_err(|error| io::Error::other(format!("line {number}: {error}")))
            })
            .collect()
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use bankstorm_contracts::banks_api::{Credit, CreditAnswer, CreditState};
    use bankstorm_contracts::core_api::Party;
    use bankstorm_contracts::{TransferId, Won};
    use bankstorm_outside::bank_network::BankBook;
    use uuid::Uuid;

    use super::{FileBook, Pages};

    fn place(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("bankstorm-book-{name}-{}", Uuid::now_v7()))
    }

    fn credited(number: u128) -> (CreditAnswer, Option<Credit>) {
        let id = TransferId(Uuid::from_u128(number));
        let to = Party { bank: "신한 088".to_owned(), account: "110-1".to_owned() };
        (CreditAnswer { id, state: CreditState::Credited }, Some(Credit { id, to, amount: Won::new(700) }))
    }

    fn cancelled(number: u128) -> (CreditAnswer, Option<Credit>) {
        (CreditAnswer { id: TransferId(Uuid::from_u128(number)), state: CreditState::Refused }, None)
    }

    #[tokio::test]
    async fn what_was_appended_stands_in_order_and_after_a_torn_write() {
        let path = place("torn");
        let book = FileBook::open(&path).expect("a new book");
        let lines = [credited(1), cancelled(2), credited(3)];
        for (answer, credit) in &lines {
            book.append(*answer, credit.as_ref()).await.expect("written");
        }
        assert_eq!(book.read().await.expect("read"), lines);
        drop(book);

        let whole = fs::read(&path).expect("the file");
        fs::write(&path, [&whole[..], b"{\"id\":\"0000"].concat()).expect("torn");
        let book = reopened(&path).await;
        assert_eq!(book.read().await.expect("read"), lines);
        let (answer, credit) = credited(4);
        book.append(answer, credit.as_ref()).await.expect("written");
        assert_eq!(book.read().await.expect("read")[3], credited(4));
        fs::remove_file(&path).expect("there");
    }

    /// The thread of a dropped book ends by itself, and its lock with it.
    async fn reopened(path: &std::path::Path) -> FileBook {
        loop {
            match FileBook::open(path) {
                Ok(book) => return book,
                Err(error) => assert!(error.to_string().contains("another process"), "{error}"),
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn many_writers_share_the_disk_and_nobody_is_lost() {
        let path = place("many");
        let book = FileBook::open(&path).expect("a new book");
        let lines: Vec<_> = (1..=200).map(credited).collect();
        let written = lines.iter().map(|(answer, credit)| book.append(*answer, credit.as_ref()));
        for written in futures_util::future::join_all(written).await {
            written.expect("written");
        }
        assert_eq!(book.read().await.expect("read"), lines);
        fs::remove_file(&path).expect("there");
    }

    #[tokio::test]
    async fn a_book_that_is_taken_or_spoilt_is_named() {
        let path = place("taken");
        let book = FileBook::open(&path).expect("a new book");
        let taken = FileBook::open(&path).expect_err("one process at a time").to_string();
        assert!(taken.contains("another process") && taken.contains("bankstorm-book-taken"), "{taken}");
        fs::remove_file(&path).expect("there");
        drop(book);

        let path = place("spoilt");
        fs::write(&path, "{\"id\":7}\n").expect("written");
        let spoilt = FileBook::open(&path).expect_err("not a line").to_string();
        assert!(spoilt.contains("line 1"), "{spoilt}");
        fs::remove_file(&path).expect("there");
    }

    #[test]
    fn a_book_that_could_be_neither_written_nor_cut_takes_nothing_more() {
        let path = place("broken");
        let mut pages = Pages::open(&path).expect("a new book");
        pages.write(b"{}\n").expect("written");
        let writable = std::mem::replace(&mut pages.file, fs::File::open(&path).expect("read only"));
        pages.write(b"{}\n").expect_err("not for writing");
        pages.file = writable;
        let refusal = pages.write(b"{}\n").expect_err("what stands is not known").to_string();
        assert!(refusal.contains("not cut back to 3 bytes"), "{refusal}");
        assert!(pages.read().is_err());
        fs::remove_file(&path).expect("there");
    }
}
