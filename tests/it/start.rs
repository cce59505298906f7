//! Memory and start: what a log's memory consists of, which process takes its page faults and when,
//! and which may lock it.

#![cfg(target_os = "linux")]

use nix::mount::{MsFlags, mount};
use nix::sys::resource::{UsageWho, getrusage};
use ringlog::layout::HEADER_SIZE;
use ringlog::{Error, Log, Memory, Name, Options, Start, Writer, Zeroable as _};
use ringlog_testkit::disk::on_a_small_disk;
use ringlog_testkit::{
    Feed, Nobody, Place, Sample, after, assert_holds, run, skipped, start, until, works,
};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

/// Slots of 32 bytes, 256 pages of them.
const SLOTS: u64 = 1 << 15;
const PAGES: i64 = SLOTS as i64 * 32 / 4096;

// Page faults.

/// Returns the page faults of one whole lap.
fn faults_of_a_lap(writer: &mut Writer<Sample>) -> i64 {
    let faults = || getrusage(UsageWho::RUSAGE_THREAD).unwrap().minor_page_faults();
    let before = faults();
    for _ in 0..SLOTS {
        writer.append(&Sample::zeroed());
    }
    faults() - before
}

/// Returns the page faults of the first lap and of the second, on a log made for this.
fn faults(options: &Options, name: impl Into<Name>) -> [i64; 2] {
    let log = options.clone().capacity(SLOTS).create::<Sample>(name).unwrap();
    let mut writer = log.writer().unwrap();
    [(); 2].map(|()| faults_of_a_lap(&mut writer))
}

/// A few come from elsewhere: the test's own code and stack, and the kernel's other work.
const FEW: i64 = PAGES / 8;

#[test]
fn a_writers_first_lap_takes_no_page_faults() {
    for (options, prefaults) in [
        (Log::options(), true),
        (Log::options().prefault(true), true),
        (Log::options().prefault(false), false),
        (Log::options().prefault(false).lock(true), true), // locked memory is resident
    ] {
        let [first, second] = faults(&options, Place::new().shm.as_str());
        assert_eq!(first < FEW, prefaults, "{first} faults of {PAGES} pages: {options:?}");
        assert!(second < FEW, "{second} faults of {PAGES} pages: {options:?}");
    }
}

#[test]
fn prefault_spares_a_files_first_lap_page_faults() {
    let place = Place::new();
    let [first, _] = faults(&Log::options().prefault(true), place.file("told.log"));
    assert!(first < FEW, "{first} faults of {PAGES} pages");
    let [first, _] = faults(&Log::options().prefault(false), place.file("not.log"));
    assert!(first > FEW, "{first} faults of {PAGES} pages");
}

/// Returns how much of its slots a process has at once when it attaches, as a reader and as an
/// observer.
fn memory_of_readers(options: &Options, name: &str) -> [Memory; 2] {
    let log = options.open(name).unwrap();
    let reader = log.reader::<Sample>(0).unwrap().memory();
    let observer = log.observe::<Sample>(Start::Oldest).unwrap().memory();
    [reader, observer].map(Result::unwrap)
}

#[test]
fn a_reader_maps_all_slots_only_under_prefault() {
    let place = Place::new();
    let mut feed = place.feed(SLOTS);
    feed.append(SLOTS);
    for options in [Log::options().prefault(true), Log::options().lock(true)] {
        for memory in memory_of_readers(&options, &place.shm) {
            assert!(memory.resident >= memory.size, "{memory} {options:?}");
        }
    }
    for options in [Log::options(), Log::options().prefault(false)] {
        for memory in memory_of_readers(&options, &place.shm) {
            assert!(memory.resident < memory.size, "{memory} {options:?}");
        }
    }
}

#[test]
fn to_prefault_and_to_lock_changes_no_byte_and_costs_no_entry() {
    let place = Place::new();
    for name in [Name::from(place.shm.as_str()), place.file("it.log").into()] {
        let path = match &name {
            Name::Shm(_) => place.shm_file(),
            Name::File(path) => path.clone(),
        };
        let mut feed = Feed::new(&name, 1024);
        feed.append(1500);
        let whole = fs::read(&path).unwrap();
        let options = Log::options().prefault(true).lock(true);
        let log = options.open(&name).unwrap();
        drop(log.observe::<Sample>(Start::Oldest).unwrap());
        assert!(fs::read(&path).unwrap() == whole);

        // A reader and a writer have words of their own in the header, and no others.
        drop(log.reader::<Sample>(0).unwrap());
        drop(feed);
        drop(log.writer::<Sample>().unwrap());
        assert!(fs::read(&path).unwrap()[HEADER_SIZE..] == whole[HEADER_SIZE..]);
    }
}

// What the programs print.

#[test]
fn a_writer_says_where_it_begins_and_what_its_memory_is() {
    let place = Place::new();
    for (first, args, says) in [
        (0, &[][..], "64 KiB in 4 KiB pages, all resident"),
        (1, &["--prefault"], "64 KiB in 4 KiB pages, all resident"),
        (2, &["--lock"], "64 KiB in 4 KiB pages, all resident, locked"),
    ] {
        let ended = run(place.writer(&[&["--count", "1"], args].concat()));
        let line = format!("writer: {}, from {first}: {says}\n", place.shm);
        assert!(ended.stderr.starts_with(&line) && ended.code() == 0, "{ended:?}");
    }
    let place = Place::new();
    let ended = run(place.writer(&["--count", "1", "--capacity", "64k", "--no-prefault"]));
    assert!(!ended.stderr.contains("all resident") && ended.code() == 0, "{ended:?}");
    let ended = run(place.writer(&["--count", "1", "--lock", "--quiet"]));
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
}

#[test]
fn a_reporter_that_was_asked_says_what_its_memory_is() {
    let place = Place::new();
    let mut feed = place.feed(SLOTS);
    feed.append(3);
    for (args, says) in [
        (&["--prefault"][..], "1 MiB in 4 KiB pages, all resident\n"),
        (&["--lock"], "1 MiB in 4 KiB pages, all resident, locked\n"),
    ] {
        let ended = place.carry(0, args);
        assert!(ended.stderr.contains(&format!("reporter 0: {}: {says}", place.shm)), "{ended:?}");
    }
    assert_holds(&place.output(0), &feed.csv(0..3));
    assert!(!place.carry(0, &[]).stderr.contains("pages"));
}

#[test]
fn to_prefault_and_not_to_is_a_usage_error() {
    let place = Place::new();
    for mut command in [place.writer(&[]), place.reporter(0, &[])] {
        command.args(["--prefault", "--no-prefault"]);
        assert_eq!(run(command).code(), 2);
    }
}

// Locks.

/// Returns the bytes that a process has locked, by the kernel.
fn locked(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let kb = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    kb.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn header_and_slots_are_locked_only_on_request() {
    let place = Place::new();
    let whole = HEADER_SIZE as u64 + 64 * 1024;
    for (args, bytes) in [(&[][..], 0), (&["--lock"], whole)] {
        let writer = start(place.writer(args));
        writer.until_said("pages");
        assert_eq!(locked(writer.pid()), bytes);
        let reporter = start(place.reporter(0, args));
        reporter.until_said("to output_0.csv");
        assert_eq!(locked(reporter.pid()), bytes);
        assert_eq!((reporter.stop().code(), writer.stop().code()), (0, 0));
    }
}

/// Runs a command as a user who may lock 16 KiB and no more; `None` if that cannot be done here.
fn confined(nobody: &Nobody, command: &Command) -> Option<Command> {
    let command = nobody.within_reach(command);
    let confined = |command| Nobody::becomes(after("ulimit -l 16", command));
    let mut version = Command::new(command.get_program());
    version.arg("--version").current_dir(command.get_current_dir().unwrap());
    works(confined(&version)).then(|| confined(&command))
}

#[test]
fn a_refused_lock_names_limit_and_cure() {
    let (place, nobody) = (Place::new(), Nobody::new());
    let mut feed = place.feed(1024);
    feed.append(3);
    fs::set_permissions(place.shm_file(), fs::Permissions::from_mode(0o666)).unwrap();
    let Some(reporter) = confined(&nobody, &place.reporter(0, &["--once", "--lock"])) else {
        return skipped("cannot be another user here");
    };
    let says = ["40 KiB of memory cannot be locked", "the limit of this process is 16 KiB"];
    let cure = "ulimit -l, or LimitMEMLOCK=";
    run(reporter).assert_refused(1, &[&[place.shm.as_str(), cure], &says[..]].concat());
    assert_eq!(feed.reader(0).position, 0);
    let reporter = confined(&nobody, &place.reporter(0, &["--once"])).unwrap();
    assert_eq!(run(reporter).code(), 0);
    assert_holds(&place.output(0), &feed.csv(0..3));

    // A writer leaves nothing behind, and makes the log when it asks for less.
    let log = ["--path", "it.log", "--count", "1", "--quiet"];
    let writer = confined(&nobody, &place.writer(&[&log[..], &["--lock"]].concat())).unwrap();
    run(writer).assert_refused(1, &["it.log: 72 KiB of memory cannot be locked", cure]);
    assert!(!place.file("it.log").exists());
    let writer = confined(&nobody, &place.writer(&log)).unwrap();
    assert_eq!(run(writer).code(), 0);
    let state = Log::options().owner(Nobody::ID).open(place.file("it.log")).unwrap();
    assert_eq!(state.snapshot().unwrap().end, 1);
}

#[test]
fn a_locked_cut_log_exits_6() {
    let place = Place::new();
    let writer = start(place.writer(&["--lock", "--quiet"]));
    let end = || Log::open(place.shm.as_str()).ok()?.snapshot().ok().map(|now| now.end);
    until("it appends", || end().filter(|&end| end > 0));
    let reporter = start(place.reporter(0, &["--lock", "--quiet"]));
    ringlog_testkit::until_lines(&place.output(0), 2);
    File::options().write(true).open(place.shm_file()).unwrap().set_len(0).unwrap();
    writer.end().assert_refused(6, &["its file was cut short"]);
    reporter.end().assert_refused(6, &["its file was cut short"]);
}

// Huge pages.

/// Makes a log of 8 MiB of slots; returns its memory in a writer and in a reader, and what the
/// program prints about it.
fn on_tmpfs(disk: &Path) -> ([Memory; 2], String) {
    let place = Place::new();
    let name = disk.join("it.log");
    let options = Log::options().capacity(1 << 17).prefault(true);
    let path = name.to_str().unwrap();
    let ended = run(place.writer(&["--path", path, "--capacity", "128k", "--count", "1"]));
    assert_eq!(ended.code(), 0, "{ended:?}");
    fs::remove_file(&name).unwrap();
    let log = options.create::<Sample>(name.as_path()).unwrap();
    let writer = log.writer::<Sample>().unwrap();
    let memory = [writer.memory(), log.reader::<Sample>(0).unwrap().memory()];
    Log::unlink(name).unwrap();
    (memory.map(Result::unwrap), ended.stderr)
}

#[test]
fn huge_pages_are_used_and_shown() {
    on_a_small_disk(64 << 10, |disk| {
        let (small, said) = on_tmpfs(disk.path());
        for memory in small {
            assert_eq!(memory.to_string(), "4 MiB in 4 KiB pages, all resident");
        }
        assert!(said.contains(": 8 MiB in 4 KiB pages, all resident\n"), "{said}");

        // What the machine offers at all.
        let offered = disk.huge_pages("always").map(|()| on_tmpfs(disk.path()));
        let Some((memory, _)) = offered.ok().filter(|([memory, _], _)| memory.huge > 0) else {
            return skipped("no huge pages on a tmpfs here; a log has ordinary ones");
        };
        let mut offers = vec![("always", memory)];
        for when in ["within_size", "advise"] {
            disk.huge_pages(when).unwrap();
            let (memory, said) = on_tmpfs(disk.path());
            assert!(said.contains("MiB of 8 MiB in huge pages, all resident\n"), "{when}: {said}");
            offers.push((when, memory));
        }
        for (when, [writer, reader]) in offers {
            assert!(writer.huge >= 2 << 20 && reader.huge == writer.huge, "{when}: {writer}");
            assert!(writer.resident >= writer.size, "{when}: {writer}");
            assert!(writer.to_string().contains(" of 4 MiB in huge pages"), "{when}: {writer}");
        }
    });
}

#[test]
fn a_log_that_does_not_fill_a_huge_page_takes_none_unasked() {
    on_a_small_disk(64 << 10, |disk| {
        if disk.huge_pages("advise").is_err() {
            return skipped("no huge pages on a tmpfs here");
        }
        let path = disk.path().join("it.log");
        drop(Log::options().capacity(1024).create::<Sample>(path.as_path()).unwrap());
        let blocks = std::os::unix::fs::MetadataExt::blocks(&path.metadata().unwrap());
        assert_eq!(blocks * 512, (HEADER_SIZE + 32 * 1024) as u64);
    });
}

#[test]
fn a_full_tmpfs_of_huge_pages_leaves_nothing() {
    on_a_small_disk(6 << 10, |disk| {
        for when in ["advise", "always"] {
            if disk.huge_pages(when).is_err() {
                return skipped("no huge pages on a tmpfs here");
            }
            let place = Place::new();
            let path = disk.path().join("it.log");
            let path = path.to_str().unwrap();
            let writer = place.writer(&["--path", path, "--capacity", "128k", "--count", "1"]);
            run(writer).assert_refused(1, &["no room for 8396800 bytes in", "No space left"]);
            assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
            let writer = place.writer(&["--path", path, "--capacity", "64k", "--count", "1"]);
            assert_eq!(run(writer).code(), 0);
            fs::remove_file(path).unwrap();
        }
    });
}

#[test]
fn a_hugetlbfs_is_refused_with_the_cure() {
    on_a_small_disk(64, |disk| {
        let none = None::<&str>;
        let pages = disk.path().join("pages");
        fs::create_dir(&pages).unwrap();
        if let Err(e) = mount(Some("none"), &pages, Some("hugetlbfs"), MsFlags::empty(), none) {
            return skipped(format!("cannot mount a hugetlbfs here: {e}"));
        }
        let (place, path) = (Place::new(), pages.join("it.log"));
        let shown = path.to_str().unwrap();
        let cure = "mounted with huge=advise";
        run(place.writer(&["--path", shown, "--count", "1"]))
            .assert_refused(2, &[shown, "it is on a hugetlbfs", cure]);
        assert_eq!(fs::read_dir(&pages).unwrap().count(), 0);

        File::create(&path).unwrap().set_len(2 << 20).unwrap();
        place
            .run_reporter(0, &["--path", shown, "--once"])
            .assert_refused(6, &[shown, "it is on a hugetlbfs", cure]);
        assert!(matches!(Log::open(path), Err(Error::NotALog { .. })));
    });
}
