//! Files of keys and hosts, read on blocking threads and bounded in size.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// A longer file is no file of keys or hosts.
const MAX_BYTES: u64 = 64 << 20;

/// The time and length of each file, as they were when it was read; `None` where there was none.
pub(super) type Stamps = Vec<Option<(SystemTime, u64)>>;

/// The stamps of files.
pub(super) fn stamps_of<'p>(paths: impl IntoIterator<Item = &'p PathBuf>) -> Stamps {
    let stamp = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    paths.into_iter().map(stamp).collect()
}

/// The contents of a file. Of what is none, as a pipe or a directory, nothing is read: it might have no end.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut contents = Vec::new();
    let read = File::open(path)?
        .take(MAX_BYTES)
        .read_to_end(&mut contents)?;
    if read as u64 == MAX_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(contents)
}
