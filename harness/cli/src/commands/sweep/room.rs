//! Room on the disk: a sweep ends while there is still enough to write down what it has.
//!
//! In: folders. Out: which of them is full.

use std::path::Path;

/// The least that must be left: what the largest cell writes (topic, rows, their log) twice over.
const LEAST_BYTES: u64 = 512 << 20;

/// Whether each folder's disk has room; the error says which has not, and how much is left.
pub(super) fn enough(folders: &[&Path]) -> Result<(), String> {
    folders.iter().try_for_each(|folder| match left_bytes(folder) {
        Some(left) => judge(folder, left),
        // Nobody tells; writing will.
        None => Ok(()),
    })
}

fn judge(folder: &Path, left: u64) -> Result<(), String> {
    if left >= LEAST_BYTES {
        return Ok(());
    }
    let (left, least) = (left >> 20, LEAST_BYTES >> 20);
    Err(format!(
        "the disk under {} has {left} MiB left, and a cell needs {least}; make room, then go on with --resume",
        folder.display()
    ))
}

fn left_bytes(folder: &Path) -> Option<u64> {
    let stat = nix::sys::statvfs::statvfs(folder).ok()?;
    // The fields' width differs between systems.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    Some((stat.blocks_available() as u64).saturating_mul(stat.fragment_size() as u64))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{LEAST_BYTES, judge, left_bytes};

    #[test]
    fn a_disk_without_room_is_named_with_what_to_do() {
        let folder = Path::new("runs/x");
        assert_eq!(judge(folder, LEAST_BYTES), Ok(()));
        let said = judge(folder, 7 << 20).expect_err("full");
        assert!(said.contains("runs/x has 7 MiB left") && said.contains("--resume"), "{said}");
        assert!(left_bytes(Path::new("/")).is_some());
        assert_eq!(left_bytes(Path::new("/nowhere/at/all")), None);
    }
}
