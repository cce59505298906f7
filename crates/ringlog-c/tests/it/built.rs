//! Programs in C and C++, compiled with all warnings as errors and linked with the library as it is now.

use ringlog_testkit::{Ended, start, works};
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

const WARNINGS: [&str; 5] = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion"];

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

pub fn include() -> PathBuf {
    repository().join("include")
}

/// The shared library. Cargo builds it for no test, since none of them can link with it by its name; so this
/// does, in the profile of the tests.
pub fn library() -> PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    let built = LIBRARY.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let profile = test.ancestors().nth(2).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(repository()).args(["build", "--quiet", "-p", "ringlog-c", "--lib"]);
        cargo.arg("--target-dir").arg(profile.parent().unwrap());
        cargo.args(profile.ends_with("release").then_some("--release"));
        let Ended { status, stderr, .. } = start(cargo).end_within(Duration::from_secs(600));
        assert!(status.success(), "{stderr}");
        profile.join("libringlog.so")
    });
    built.clone()
}

/// A directory for what is built, with the library under the names that a linker and a loader look for.
fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ringlog-c");
        fs::create_dir_all(&directory).unwrap();
        for name in ["libringlog.so", "libringlog.so.0"] {
            put(&directory.join(name), |at| symlink(library(), at).unwrap());
        }
        directory
    })
}

/// Makes a file beside its place, and puts it there at once: another run of the tests may be using it.
fn put(to: &Path, make: impl FnOnce(&Path)) {
    let mut beside = to.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    make(Path::new(&beside));
    fs::rename(beside, to).unwrap();
}

/// The compiler of C, or of C++, with all warnings as errors.
pub fn compiler(source: &Path) -> Command {
    let is_c = source.extension().is_some_and(|extension| extension == "c");
    let mut compiler = Command::new(if is_c { "cc" } else { "c++" });
    compiler.arg(if is_c { "-std=c11" } else { "-std=c++17" }).args(WARNINGS);
    compiler.arg("-I").arg(include());
    compiler
}

/// Runs a compiler to its end, which takes long where many compile.
pub fn compile(compiler: Command) -> Ended {
    start(compiler).end_within(Duration::from_secs(300))
}

/// Compiles a program of the repository once, and returns where it is.
pub fn built(source: &str) -> PathBuf {
    type Once = Arc<OnceLock<PathBuf>>;
    static BUILT: OnceLock<Mutex<HashMap<String, Once>>> = OnceLock::new();
    let once = {
        let mut all = BUILT.get_or_init(Mutex::default).lock().unwrap();
        Arc::clone(all.entry(source.to_owned()).or_default())
    };
    let program = once.get_or_init(|| {
        let from = repository().join(source);
        let to = directory().join(source.replace('/', "-"));
        put(&to, |at| {
            let mut compiler = compiler(&from);
            compiler.args(["-O1", "-g"]).arg(&from).arg("-o").arg(at).arg("-L").arg(directory());
            compiler.args(["-lringlog", "-pthread"]);
            compiler.arg(format!("-Wl,-rpath,{}", directory().display()));
            let Ended { status, stderr, .. } = compile(compiler);
            assert!(status.success(), "{source}:\n{stderr}");
        });
        to
    });
    program.clone()
}

/// A command that runs a program of the repository.
pub fn command(source: &str) -> Command {
    let mut command = Command::new(built(source));
    command.env_remove("RUST_BACKTRACE");
    command
}

/// Whether this can be run; if not, that is said aloud.
pub fn has(program: &str) -> bool {
    let mut version = Command::new(program);
    version.arg("--version");
    let has = works(version);
    if !has {
        ringlog_testkit::skipped(format!("{program} is not installed"));
    }
    has
}
