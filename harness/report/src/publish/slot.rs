//! The place of a published folder, in which one folder takes that of another: as a whole, or not at all.
//!
//! In: a name, what fills a folder. Out: the folder in its place; or what lay there before, back again. Elsewhere: the line that makes it a
//! published one (`publish::index`), whose lock whoever opens a slot holds.
//!
//! What lay there is set aside until the line is written. Who is killed between the two renames leaves it there, and the next who opens the
//! slot puts it back.

use std::path::{Path, PathBuf};

use super::{PublishError, io};

/// A folder, what is to become it, and what it was.
pub(super) struct Slot {
    folder: PathBuf,
    draft: PathBuf,
    aside: PathBuf,
    /// The draft has become the folder.
    is_taken: bool,
}

impl Slot {
    /// That of `name` in `results`, with what a killed one left there in order.
    pub(super) fn open(results: &Path, name: &str) -> Result<Self, PublishError> {
        let slot = Self {
            folder: results.join(name),
            draft: results.join(format!(".{name}.part")),
            aside: results.join(format!(".{name}.old")),
            is_taken: false,
        };
        if slot.aside.exists() && !slot.folder.exists() {
            rename(&slot.aside, &slot.folder)?;
        }
        remove(&slot.aside)?;
        Ok(slot)
    }

    /// Fills an empty draft.
    pub(super) fn draft(&self, fill: impl FnOnce(&Path) -> Result<(), PublishError>) -> Result<(), PublishError> {
        remove(&self.draft)?;
        std::fs::create_dir_all(&self.draft).map_err(io(&self.draft))?;
        fill(&self.draft)
    }

    /// The draft becomes the folder; what lay there is set aside.
    pub(super) fn take(&mut self) -> Result<(), PublishError> {
        if self.folder.exists() {
            rename(&self.folder, &self.aside)?;
        }
        rename(&self.draft, &self.folder)?;
        self.is_taken = true;
        Ok(())
    }

    /// What was set aside is not needed any more.
    pub(super) fn keep(self) {
        // What is left of it is removed by the next who opens the slot.
        let _ = remove(&self.aside);
    }

    /// Everything as it was.
    pub(super) fn put_back(self) {
        // What is to be told is why; the next who opens the slot goes on here.
        let _ = remove(&self.draft);
        if self.is_taken {
            let _ = remove(&self.folder);
        }
        if self.aside.exists() {
            let _ = rename(&self.aside, &self.folder);
        }
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), PublishError> {
    std::fs::rename(from, to).map_err(io(to))
}

fn remove(folder: &Path) -> Result<(), PublishError> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(folder)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Slot;
    use crate::publish::PublishError;

    /// What lies in `results`, hidden or not, with the text of its file.
    fn lies(results: &Path) -> Vec<(String, String)> {
        let entries = std::fs::read_dir(results).expect("listed").map(|entry| entry.expect("an entry"));
        let text = |path: &Path| std::fs::read_to_string(path.join("a")).unwrap_or_default();
        let mut found: Vec<_> =
            entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), text(&entry.path()))).collect();
        found.sort();
        found
    }

    fn drafted(results: &Path, text: &str) -> Slot {
        let slot = Slot::open(results, "run").expect("opened");
        let write = |draft: &Path| {
            std::fs::write(draft.join("a"), text).expect("written");
            Ok(())
        };
        slot.draft(write).expect("filled");
        slot
    }

    #[test]
    fn a_folder_takes_the_place_of_another_or_everything_is_as_it_was() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let (results, run) = (home.path(), |text: &str| [("run".to_owned(), text.to_owned())]);
        let mut first = drafted(results, "first");
        first.take().expect("taken");
        first.put_back();
        assert_eq!(lies(results), [], "nothing lay there");
        let mut first = drafted(results, "first");
        first.take().expect("taken");
        first.keep();
        assert_eq!(lies(results), run("first"));
        drafted(results, "second").put_back();
        assert_eq!(lies(results), run("first"), "before it was taken");
        let mut second = drafted(results, "second");
        second.take().expect("taken");
        second.put_back();
        assert_eq!(lies(results), run("first"), "after it was taken");
        let mut second = drafted(results, "second");
        second.take().expect("taken");
        second.keep();
        assert_eq!(lies(results), run("second"));
    }

    #[test]
    fn what_a_killed_one_set_aside_is_put_back() {
        let home = tempfile::tempdir().expect("a temporary folder");
        let mut first = drafted(home.path(), "first");
        first.take().expect("taken");
        first.keep();
        // Killed after what lay there was set aside, and before the draft took its place.
        drop(drafted(home.path(), "second"));
        std::fs::rename(home.path().join("run"), home.path().join(".run.old")).expect("set aside");
        let slot = Slot::open(home.path(), "run").expect("opened");
        let refuse = |_: &Path| Err(PublishError::Name("no".to_owned()));
        slot.draft(refuse).expect_err("it cannot be filled");
        slot.put_back();
        assert_eq!(lies(home.path()), [("run".to_owned(), "first".to_owned())]);
    }
}
