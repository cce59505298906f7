//! Finished parts of an output: their names, and which ones exist.

use crate::paths::{behind_links, directory_of, identity, with_infix};
use ringlog::layout::Output;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Renames `out.csv`, whose rows begin at 12, to the first of `out.000000000000012.csv`,
/// `out.000000000000012.1.csv`, ... that is free.
pub(crate) fn finish(path: &Path, output: &Output) -> io::Result<PathBuf> {
    let path = behind_links(path)?;
    let mut number = 0;
    loop {
        let part = part_name(&path, output.begin, number);
        number += 1;
        if is_compressed(&part)? {
            continue;
        }
        // As in `set_aside`; an empty file is a name that was reserved before a kill.
        match OpenOptions::new().write(true).create_new(true).open(&part) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
            Err(_) if !is_empty(&part)? => continue,
            _ => {}
        }
        return match std::fs::rename(&path, &part) {
            Ok(()) => Ok(part),
            Err(e) => {
                let _ = std::fs::remove_file(&part);
                Err(e)
            }
        };
    }
}

/// Returns the part that [`finish`] has renamed this file to.
pub(crate) fn find(path: &Path, output: &Output) -> io::Result<Option<PathBuf>> {
    let mut number = 0;
    loop {
        let part = part_name(path, output.begin, number);
        number += 1;
        match std::fs::symlink_metadata(&part) {
            Ok(meta) if identity(&meta) == output.file => return Ok(Some(part)),
            Ok(_) => {}
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            Err(_) if !is_compressed(&part)? => return Ok(None),
            Err(_) => {}
        }
    }
}

/// Gives a part back the name that it had before [`finish`], unless another file has it now.
pub(crate) fn take_back(part: &Path, path: &Path) -> io::Result<()> {
    let path = behind_links(path)?;
    if path.symlink_metadata().is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    std::fs::rename(part, path) // in one step: a kill leaves it one name
}

/// The extensions of compressed parts.
const COMPRESSED: [&str; 2] = ["zst", "gz"];

fn is_compressed(part: &Path) -> io::Result<bool> {
    for name in compressed(part) {
        if name.try_exists()? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the names that a finished part can have when it is compressed.
pub fn compressed(part: &Path) -> impl Iterator<Item = PathBuf> + '_ {
    COMPRESSED.iter().map(|extension| part.with_added_extension(extension))
}

/// Returns the name that a part has while it is not compressed.
pub fn uncompressed(path: &Path) -> PathBuf {
    let is_compressed = path.extension().is_some_and(|it| COMPRESSED.iter().any(|by| it == *by));
    if is_compressed { path.with_extension("") } else { path.to_owned() }
}

fn is_empty(path: &Path) -> io::Result<bool> {
    let meta = std::fs::symlink_metadata(path)?;
    Ok(meta.is_file() && meta.len() == 0)
}

fn part_name(path: &Path, begin: u64, number: u64) -> PathBuf {
    match number {
        0 => with_infix(path, &format!("{begin:015}")),
        _ => with_infix(path, &format!("{begin:015}.{number}")),
    }
}

/// Returns the finished parts of the output at `path`, as a [`Rotation`](crate::Rotation) leaves
/// them, in order; without those that are compressed.
///
/// # Errors
/// What the operating system answered about its directory.
pub fn parts(path: &Path) -> io::Result<Vec<PathBuf>> {
    let path = behind_links(path)?;
    let mut parts = Vec::new();
    for entry in directory_of(&path).read_dir()? {
        let part = directory_of(&path).join(entry?.file_name());
        if let Some(begin) = begin_of(&part, &path)
            && std::fs::symlink_metadata(&part).is_ok_and(|it| it.is_file() && it.len() > 0)
        {
            parts.push((begin, part));
        }
    }
    parts.sort_unstable();
    Ok(parts.into_iter().map(|(_, part)| part).collect())
}

/// Returns the position where the rows of a part of the output at `path` begin, by its name, and
/// the number after that, which is 0 unless there were two; `None` if it does not have the name of
/// a part.
pub fn begin_of(part: &Path, path: &Path) -> Option<(u64, u64)> {
    let name = part.file_name()?.as_bytes();
    let begin = path.file_stem()?.as_bytes();
    let end = path.extension().map_or(&b""[..], |it| it.as_bytes());
    let name = name.strip_prefix(begin)?.strip_prefix(b".")?.strip_suffix(end)?;
    let name = if end.is_empty() { name } else { name.strip_suffix(b".")? };
    let name = str::from_utf8(name).ok()?;
    let (position, number) = name.split_once('.').unwrap_or((name, "0"));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let named = position.len() >= 15 && digits(position) && digits(number);
    named.then_some((position.parse().ok()?, number.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringlog_testkit::Place;
    use std::fs;

    #[test]
    fn only_a_name_that_a_rotation_gives_is_that_of_a_part() {
        let begin = |part: &str, path: &str| begin_of(Path::new(part), Path::new(path));
        assert_eq!(begin("a/out.000000000000012.csv", "out.csv"), Some((12, 0)));
        assert_eq!(begin("out.000000000000012.3.csv", "out.csv"), Some((12, 3)));
        assert_eq!(
            begin("out.1764000000000000000.csv", "out.csv"),
            Some((1764 * 10u64.pow(15), 0))
        );
        assert_eq!(begin("out.000000000000012", "out"), Some((12, 0)));
        for other in [
            "out.csv",
            "out.12.csv",
            "out.00000000000012.csv",
            "out.+00000000000012.csv",
            "out.000000000000012.+3.csv",
            "out.000000000000012.3.4.csv",
            "out.000000000000012.csv.zst",
            "out.000000000000012.jsonl",
            "other.000000000000012.csv",
            "out.99999999999999999999.csv",
        ] {
            assert_eq!(begin(other, "out.csv"), None, "{other}");
        }
    }

    #[test]
    fn part_is_found_by_identity_and_not_name() {
        let place = Place::new();
        let path = place.file("out.csv");
        fs::write(&path, "ours").unwrap();
        let file = identity(&path.metadata().unwrap());
        let output = Output { begin: 12, file, ..Output::default() };
        for name in ["out.000000000000012.csv", "out.000000000000012.1.csv.zst"] {
            fs::write(place.file(name), "somebody's").unwrap();
        }
        assert_eq!(find(&path, &output).unwrap(), None);
        let part = finish(&path, &output).unwrap();
        assert_eq!(part, place.file("out.000000000000012.2.csv"));
        assert_eq!(find(&path, &output).unwrap(), Some(part));
    }

    #[test]
    fn a_name_taken_by_another_file_stays_taken() {
        let place = Place::new();
        let [path, part] = ["out.csv", "part.csv"].map(|name| place.file(name));
        fs::write(&path, "somebody's").unwrap();
        fs::write(&part, "ours").unwrap();
        assert_eq!(take_back(&part, &path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"somebody's");
        fs::remove_file(&path).unwrap();
        take_back(&part, &path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"ours");
    }
}
