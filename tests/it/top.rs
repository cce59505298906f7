//! `ringlog top` on a real terminal, which is tmux: what it shows while writers and readers come
//! and go, what the keys do, and how it leaves the terminal.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringlog::Log;
use ringlog_testkit::{Place, program, run, skipped, start, until, works};
use std::fs::{self, File};
use std::process::Command;

/// A terminal of 80 columns and 24 lines with a shell in it, in the directory of the place.
struct Tmux<'a> {
    place: &'a Place,
}

impl<'a> Tmux<'a> {
    /// Starts it; `None`, and a line that says so, if there is no tmux.
    fn new(place: &'a Place) -> Option<Tmux<'a>> {
        let mut version = Command::new("tmux");
        version.arg("-V");
        if !works(version) {
            skipped("no tmux here");
            return None;
        }
        fs::write(place.file("tmux.conf"), "set -g status off\n").unwrap();
        let tmux = Tmux { place };
        tmux.run(&["new-session", "-d", "-x", "80", "-y", "24", "sh"]);
        tmux.enter("PS1='rea''dy '"); // and not what was typed, wherever it is echoed
        tmux.until_shown("ready");
        Some(tmux)
    }

    /// Runs a command of tmux, and returns its output.
    fn run(&self, args: &[&str]) -> String {
        let programs = program("ringlog").parent().unwrap().to_owned();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(self.place.file("tmux.sock"));
        tmux.arg("-f").arg(self.place.file("tmux.conf")).arg("-u").args(args);
        tmux.env("PATH", path).env("LC_ALL", "C.UTF-8");
        tmux.env_remove("TMUX").env_remove("NO_COLOR").current_dir(self.place.dir.path());
        let ended = run(tmux);
        assert_eq!(ended.code(), 0, "{args:?}: {ended:?}");
        ended.stdout
    }

    fn press(&self, key: &str) {
        self.run(&["send-keys", key]);
    }

    /// Types a line into the shell.
    fn enter(&self, line: &str) {
        self.run(&["send-keys", "-l", line]);
        self.press("Enter");
    }

    fn screen(&self) -> String {
        self.run(&["capture-pane", "-p"])
    }

    /// Waits for a line that begins like this, and returns it.
    fn until_line(&self, begin: &str) -> String {
        until(&format!("there is a line {begin:?} in {}", self.screen()), || {
            let screen = self.screen();
            screen.lines().find(|line| line.starts_with(begin)).map(str::to_owned)
        })
    }

    fn until_shown(&self, text: &str) {
        until(&format!("it shows {text:?}"), || self.screen().contains(text).then_some(()));
    }

    /// Waits until the shell asks for a line. What is typed before can still go to another program.
    fn until_asked(&self) {
        let asks = |screen: String| screen.trim_end().ends_with("\nready").then_some(());
        until("the shell asks for a line", || asks(self.screen()));
    }

    /// Starts `ringlog top`, with the modes of the terminal noted before and after, and waits until
    /// it has the screen.
    fn start(&self, args: &str) -> Pid {
        self.start_by("", args)
    }

    /// Starts it by another program.
    fn start_by(&self, program: &str, args: &str) -> Pid {
        let top = self.place.file("top.sh");
        fs::write(top, format!("echo $$ > pid; exec {args}")).unwrap();
        let line = format!("{program} sh top.sh; echo code $?; stty -g > after");
        self.enter(&format!("clear; stty -g > before; {line}"));
        self.until_shown("ringlog top  ");
        fs::read_to_string(self.place.file("pid"))
            .unwrap()
            .trim()
            .parse()
            .map(Pid::from_raw)
            .unwrap()
    }

    /// Returns whether a full screen is shown, and whether the cursor is.
    fn modes(&self) -> String {
        self.run(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).trim().to_owned()
    }

    /// Asserts that the screen is the shell's again, as it was.
    #[track_caller]
    fn assert_restored(&self, code: &str) {
        self.until_line(code);
        let screen = self.screen();
        assert!(!screen.contains("ringlog top  "), "{screen}");
        let after = self.place.file("after");
        until("the modes are written down", || {
            after.metadata().is_ok_and(|m| m.len() > 0).then_some(())
        });
        let modes = |name| fs::read_to_string(self.place.file(name)).unwrap();
        assert_eq!(modes("before"), modes("after"));
        assert_eq!(self.modes(), "0 1", "{screen}");
        fs::remove_file(after).unwrap();
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        let socket = self.place.file("tmux.sock");
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(socket).arg("kill-server");
        works(tmux);
    }
}

#[test]
fn stdout_that_is_no_terminal_is_a_usage_error_that_names_stat() {
    let mut command = Command::new(program("ringlog"));
    command.arg("top");
    let ended = run(command);
    assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""));
    assert_eq!(ended.stderr.lines().count(), 1);
    assert!(ended.stderr.contains("`ringlog stat`"), "{ended:?}");
}

#[test]
fn it_shows_deaths_and_restores_the_terminal() {
    let place = Place::new();
    let Some(tmux) = Tmux::new(&place) else { return };
    let writer = start(place.writer(&["--quiet", "--rate", "5000", "--capacity", "4k"]));
    let carried = start(place.reporter(0, &["--quiet"]));
    let killed = start(place.reporter(1, &["--quiet"]));
    tmux.run(&["pipe-pane", "cat > written"]);
    tmux.start(&format!("ringlog top {} --every 100ms", place.shm));
    assert_eq!(tmux.modes(), "1 0");
    let log = tmux.until_line(&format!(" {}", place.shm));
    assert!(log.contains("writer alive"), "{log}");
    tmux.until_line(" 0   alive    reporter");
    tmux.until_line(" 1   alive    reporter");

    killed.kill();
    tmux.until_line(" 1   gone     -");
    let lost = until("it loses", || {
        Some(tmux.until_line(" 1   gone"))
            .filter(|line| line.contains("!! 0%") && line.contains(" + "))
    });
    assert!(!lost.contains('…'), "{lost}");
    tmux.press("s");
    tmux.until_shown("s sort: lag");
    assert!(tmux.screen().lines().nth(3).unwrap().starts_with(" 1   gone"), "{}", tmux.screen());
    let written = fs::read_to_string(place.file("written")).unwrap();
    let (_, written) = written.split_once("\x1b[?1049h").unwrap();
    assert!(!written.contains("\x1b[2J"), "it clears the screen");

    tmux.press("p");
    tmux.until_shown(" paused ");
    let (paused, end) = (tmux.screen(), place.log().snapshot().unwrap().end);
    until("time passes", || (place.log().snapshot().unwrap().end > end + 2500).then_some(()));
    assert_eq!(tmux.screen(), paused);
    tmux.run(&["resize-window", "-x", "120", "-y", "30"]);
    tmux.until_shown("     position\n");
    let screen = tmux.screen();
    assert!(screen.lines().nth(29).unwrap().starts_with(" ? help"), "{screen}");
    tmux.press("p");
    until("it goes on", || (!tmux.screen().contains(" paused ")).then_some(()));
    // As large as it was when it was taken: tmux may show again what it cuts off another size.
    tmux.run(&["resize-window", "-x", "80", "-y", "24"]);
    until("it is as wide as it was", || (!tmux.screen().contains("position")).then_some(()));
    tmux.press("q");
    tmux.assert_restored("code 0");
    assert_eq!((carried.stop().code(), writer.stop().code()), (0, 0));
}

#[test]
fn any_signal_that_ends_it_leaves_the_terminal_as_it_was() {
    let place = Place::new();
    let Some(tmux) = Tmux::new(&place) else { return };
    let _feed = place.feed(64);
    for signals in [
        &[Signal::SIGTERM][..],
        &[Signal::SIGINT],
        &[Signal::SIGHUP],
        &[Signal::SIGQUIT],
        &[Signal::SIGTERM, Signal::SIGTERM, Signal::SIGINT],
    ] {
        let top = tmux.start(&format!("ringlog top {}", place.shm));
        for &signal in signals {
            let _ = kill(top, signal); // it may be gone at the second signal
        }
        tmux.assert_restored("code 0");
    }
    for key in ["C-c", "Escape"] {
        tmux.start(&format!("ringlog top {}", place.shm));
        tmux.press(key);
        tmux.assert_restored("code 0");
    }
}

#[test]
fn it_ends_when_its_terminal_goes_away() {
    // With the hangup signal, and without it.
    for program in ["", "setsid --wait"] {
        let place = Place::new();
        let Some(tmux) = Tmux::new(&place) else { return };
        let _feed = place.feed(64);
        let top = tmux.start_by(program, &format!("ringlog top {}", place.shm));
        tmux.press("p"); // so that it has nothing to draw
        tmux.until_shown(" paused ");
        tmux.run(&["kill-server"]);
        let stat = format!("/proc/{top}/stat");
        until("it ends", || {
            // The process that inherits it need not reap it.
            let stat = fs::read_to_string(&stat).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        });
    }
}

#[test]
fn stopped_it_gives_the_terminal_to_the_shell_and_takes_it_again() {
    let place = Place::new();
    let Some(tmux) = Tmux::new(&place) else { return };
    let _feed = place.feed(64);
    tmux.enter("stty -g > before; clear");
    tmux.enter(&format!("ringlog top {}", place.shm));
    tmux.until_shown("ringlog top  ");
    for _ in 0..2 {
        tmux.press("C-z");
        tmux.until_asked();
        assert_eq!(tmux.modes(), "0 1");
        tmux.enter("stty -g > after; echo and; fg");
        until("it has the screen", || (tmux.modes() == "1 0").then_some(()));
        tmux.until_shown("no readers yet");
        let modes = |name| fs::read_to_string(place.file(name)).unwrap();
        assert_eq!(modes("before"), modes("after"));
    }
    tmux.press("q");
    tmux.until_asked();
    tmux.enter("echo code $?; stty -g > after");
    tmux.assert_restored("code 0");
}

#[test]
fn it_outlasts_logs_that_vanish_or_shrink() {
    let place = Place::new();
    let Some(tmux) = Tmux::new(&place) else { return };
    tmux.start(&format!("ringlog top {} --every 20ms", place.shm));
    tmux.until_shown("no such log");
    let feed = place.feed(64);
    tmux.until_shown("no readers yet");
    feed.log.reader::<ringlog_testkit::Sample>(3).unwrap().commit();
    tmux.until_line(" 3   ended");
    Log::unlink(place.shm.as_str()).unwrap();
    tmux.until_shown("no such log");
    drop(feed);
    let _again = place.feed(32);
    tmux.until_shown("no readers yet");
    File::options().write(true).open(place.shm_file()).unwrap().set_len(8192).unwrap();
    tmux.until_shown("invalid sizes");
    tmux.press("q");
    tmux.assert_restored("code 0");
}

#[test]
fn with_no_color_it_writes_none() {
    let place = Place::new();
    let Some(tmux) = Tmux::new(&place) else { return };
    let _feed = place.feed(64);
    for (set, coloured) in [("NO_COLOR=", true), ("NO_COLOR=1", false)] {
        tmux.start(&format!("env {set} ringlog top {}", place.shm));
        let screen = tmux.run(&["capture-pane", "-p", "-e"]);
        assert_eq!(screen.contains("\x1b[38;5;2m"), coloured, "{screen:?}");
        tmux.press("q");
        tmux.assert_restored("code 0");
    }
}
