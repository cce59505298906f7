//! What the fuzz targets are built on: a directory of their own, input taken apart, a log's bytes,
//! and what `docs/format.md` says about a header, again and naively.

use ringlog::layout::{HEADER_SIZE, Header, MAGIC, READERS, ReaderLine, VERSION};
use ringlog::{Log, Name, Schema};
use std::fs::{self, File};
use std::mem::offset_of;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Returns the directory of this process; `scripts/fuzz` removes its parent.
pub fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("ringlog-fuzz-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    })
}

/// The bytes of an input, one after the other; zeros after its end.
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    pub fn word(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a word that is likely to matter: a limit, something near a limit, or anything.
    pub fn odd_word(&mut self, capacity: u64) -> u64 {
        let (choice, by) = (self.byte(), u64::from(self.byte()));
        match choice % 12 {
            0 => by,
            1 => u64::MAX - by,
            2 => (1 << 62) - 1 - by,
            3 => (1 << 62) + by,
            4 => 1 << 63 | by,
            5 => (1u64 << 63) - 1 - by,
            6 => (1 << 63 | 1 << 62) - 1 - by,
            7 => (1 << 31) + by,
            8 => capacity.wrapping_mul(by),
            9 => capacity.wrapping_mul(by).wrapping_sub(1),
            10 => 1 << (by % 64),
            _ => self.word(),
        }
    }
}

/// A log as bytes: changed at will, then put where it can be opened.
pub struct Image {
    file: File,
    pub path: PathBuf,
    pub bytes: Vec<u8>,
}

impl Image {
    /// Makes an empty log of these columns.
    pub fn new(schema: &Schema, capacity: u64) -> Image {
        Image::of(schema, capacity, schema.entry_size(), 0)
    }

    /// Makes an empty log of these columns with a body after them, with the sizes of a body in a
    /// slot and of the arena.
    pub fn with_bodies(schema: &Schema, capacity: u64, inline: usize, arena: u64) -> Image {
        let mut image =
            Image::of(schema, capacity, schema.entry_size() + 8 + inline, arena as usize);
        image.set(offset_of!(Header, arena_size), arena);
        image.set(offset_of!(Header, inline_size), inline as u64);
        image
    }

    fn of(schema: &Schema, capacity: u64, entry_size: usize, arena: usize) -> Image {
        let path = directory().join("log");
        let _ = fs::remove_file(&path);
        // Not by `Log`: what two runs see must be equal, its id and its time too.
        let slot = slot_size(entry_size);
        let slots = capacity as usize * slot;
        let behind = if arena > 0 { slots.next_multiple_of(4096) - slots + arena } else { 0 };
        let mut bytes = vec![0; HEADER_SIZE + slots + behind];
        let text = schema.to_text();
        bytes[offset_of!(Header, schema)..][..text.len()].copy_from_slice(text.as_bytes());
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        let mut image = Image { file, path, bytes };
        for (at, word) in [
            (offset_of!(Header, magic), MAGIC),
            (offset_of!(Header, version), VERSION),
            (offset_of!(Header, capacity), capacity),
            (offset_of!(Header, slot_size), slot as u64),
            (offset_of!(Header, entry_size), entry_size as u64),
            (offset_of!(Header, log_id), 7),
            (offset_of!(Header, created_ns), 1_700_000_000_000_000_000),
            (offset_of!(Header, schema_len), text.len() as u64),
        ] {
            image.set(at, word);
        }
        image.set_boot(true);
        image
    }

    /// Sets the boot to this one, or to another.
    pub fn set_boot(&mut self, now: bool) {
        static BOOT: OnceLock<[u64; 2]> = OnceLock::new();
        let boot = *BOOT.get_or_init(|| {
            let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
            let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
            let id = u128::from_str_radix(&digits, 16).unwrap();
            [(id >> 64) as u64, id as u64]
        });
        let at = offset_of!(Header, writer) + offset_of!(ringlog::layout::WriterLine, boot_id);
        self.set(at, if now { boot[0] } else { !boot[0] });
        self.set(at + 8, boot[1]);
    }

    pub fn set(&mut self, at: usize, word: u64) {
        self.bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }

    /// Stores the bytes in the file.
    pub fn store(&self) {
        self.file.write_all_at(&self.bytes, 0).unwrap();
    }

    /// Changes one word of the file, even while processes are attached.
    pub fn scribble(&self, at: usize, word: u64) {
        self.file.write_all_at(&word.to_le_bytes(), at as u64).unwrap();
    }

    /// Returns a word that the file has now.
    pub fn word(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, at as u64).unwrap();
        u64::from_le_bytes(bytes)
    }

    /// Returns bytes that the file has now.
    pub fn read(&self, at: usize, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.file.read_exact_at(&mut bytes, at as u64).unwrap();
        bytes
    }

    pub fn set_len(&self, length: u64) {
        self.file.set_len(length).unwrap();
    }

    pub fn open(&self) -> ringlog::Result<Log> {
        Log::open(Name::from(self.path.as_path()))
    }
}

/// Returns the offset of a word of a reader's line that matters: three of its owner, five of its
/// output, eight of its checkpoints.
pub fn reader_word(id: usize, index: usize) -> usize {
    let line = offset_of!(Header, readers) + id % READERS * size_of::<ReaderLine>();
    line + match index % 16 {
        index @ 0..3 => offset_of!(ReaderLine, pid) + 8 * index,
        index @ 3..8 => offset_of!(ReaderLine, output) + 8 * (index - 3),
        index => offset_of!(ReaderLine, checkpoints) + 8 * (index - 8),
    }
}

/// Returns the slot size by the table in `docs/format.md`.
pub fn slot_size(entry_size: usize) -> usize {
    let used = (8 + entry_size).div_ceil(8) * 8;
    if used > 4096 {
        return used.div_ceil(4096) * 4096;
    }
    (4..=12).map(|power| 1 << power).find(|&size| size >= used).unwrap()
}

/// Returns whether a text is a schema by `docs/format.md`.
pub fn is_schema(text: &[u8], entry_size: u64) -> bool {
    let Ok(text) = str::from_utf8(text) else { return false };
    if text.len() > 2560 || !text.ends_with('\n') {
        return false;
    }
    let number = |digits: &str, most: u64| {
        let good = !digits.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'));
        good.then(|| digits.parse().ok()).flatten().filter(|&number: &u64| number <= most)
    };
    let mut names = Vec::new();
    text[..text.len() - 1].split('\n').all(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, kind, offset] = words[..] else { return false };
        let named = name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
            && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
            && name != "seq"
            && !names.contains(&name);
        names.push(name);
        let size = match kind {
            "u8" | "i8" | "bool" => 1,
            "u16" | "i16" => 2,
            "u32" | "i32" | "f32" => 4,
            "u64" | "i64" | "f64" | "timestamp" => 8,
            _ => match (kind.strip_prefix("text"), kind.strip_prefix("decimal")) {
                (Some(digits), _) => number(digits, 65535).unwrap_or(0),
                (_, Some(digits)) => number(digits, 18).map_or(0, |_| 8),
                _ => 0,
            },
        };
        let offset = number(offset, u64::MAX);
        named
            && size > 0
            && offset
                .and_then(|offset| offset.checked_add(size))
                .is_some_and(|end| end <= entry_size)
    })
}

/// Calls `look` until it says that there is no more, which must come soon.
pub fn bounded(what: &str, most: u64, mut look: impl FnMut() -> bool) {
    for _ in 0..=most {
        if !look() {
            return;
        }
    }
    panic!("{what}: not at an end after {most} times");
}
