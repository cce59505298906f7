//! The header against the library: it compiles as both languages, declares what the library has, and no more,
//! with the numbers and the layout that the library has.

use crate::built::{compile, compiler, include, library, repository};
use ringlog::layout::{Header, WRITING};
use ringlog::{Code, Error, Log};
use ringlog_testkit::{Ended, Place, run};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

fn text(name: &str) -> String {
    fs::read_to_string(include().join(name)).unwrap()
}

/// The header without its comments.
fn code() -> String {
    let text = text("ringlog.h");
    let mut code = String::new();
    let mut rest = text.as_str();
    while let Some((before, comment)) = rest.split_once("/*") {
        code += before;
        rest = comment.split_once("*/").unwrap().1;
    }
    code + rest
}

/// Compiles a source in this language, in a directory of its own; what the compiler says.
fn compiled(extension: &str, source: &str) -> Ended {
    let place = Place::new();
    let file = place.file(&format!("source.{extension}"));
    fs::write(&file, source).unwrap();
    let mut compiler = compiler(&file);
    compiler.arg("-fsyntax-only").arg(&file);
    compile(compiler)
}

#[track_caller]
fn assert_compiles(extension: &str, source: &str) {
    let Ended { status, stderr, .. } = compiled(extension, source);
    assert!(status.success(), "{stderr}");
}

#[test]
fn the_headers_compile_alone_without_a_warning() {
    for header in ["ringlog.h", "ringlog.hpp", "ringlog_pack.hpp"] {
        let source = format!("#include \"{header}\"\n#include \"{header}\"\n");
        if header.ends_with(".h") {
            assert_compiles("c", &format!("{source}int main(void) {{ return 0; }}\n"));
        }
        assert_compiles("cpp", &source);
    }
}

#[test]
fn the_headers_compile_without_a_warning_at_every_level() {
    // What a compiler warns of depends on what it inlines.
    for source in ["examples/cpp/calculator.cpp", "crates/ringlog-c/tests/programs/logs.cpp"] {
        for level in ["-O0", "-O2", "-O3"] {
            let source = repository().join(source);
            let mut compiler = compiler(&source);
            compiler.args([level, "-c", "-o", "/dev/null"]).arg(&source);
            let Ended { status, stderr, .. } = compile(compiler);
            assert!(status.success(), "{level}: {stderr}");
        }
    }
}

#[test]
fn cpp_without_exceptions_compiles() {
    let source = repository().join("crates/ringlog-c/tests/it/no_exceptions.cpp");
    let mut compiler = compiler(&source);
    compiler.args(["-fno-exceptions", "-fno-rtti", "-fsyntax-only"]).arg(&source);
    let Ended { status, stderr, .. } = compile(compiler);
    assert!(status.success(), "{stderr}");
}

#[test]
fn the_header_declares_what_the_library_has_and_no_more() {
    let mut nm = Command::new("nm");
    nm.args(["-D", "--defined-only", "-P"]).arg(library());
    let Ended { status, stdout, stderr } = run(nm);
    assert!(status.success(), "{stderr}");
    let has: BTreeSet<&str> = stdout.lines().filter_map(|line| line.split(' ').next()).collect();

    let code = code();
    // A declaration begins a line, and ends with a semicolon before any brace.
    let declared: BTreeSet<&str> = code
        .match_indices("ringlog_")
        .filter_map(|(at, _)| {
            let name = code[at..].split('(').next()?;
            let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            let line = code[..at].rsplit('\n').next()?;
            let is_declared = is_name
                && !line.starts_with([' ', '#', '}'])
                && !line.contains("inline")
                && !line.contains("INLINE")
                && !line.contains("typedef");
            let rest = &code[at + name.len()..];
            (is_declared
                && rest.starts_with('(')
                && rest.find(';')? < rest.find('{').unwrap_or(usize::MAX))
            .then_some(name)
        })
        .collect();
    assert!(declared.len() > 50, "{declared:?}");
    assert_eq!(declared, has);
}

/// The numbers of the header's enums, by name.
fn numbers() -> BTreeMap<String, i64> {
    let code = code();
    let enums = code.split("enum {").skip(1).map(|rest| rest.split('}').next().unwrap());
    let mut numbers = BTreeMap::new();
    for body in enums {
        let mut next = 0;
        for item in body.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, number) = match item.split_once('=') {
                Some((name, number)) => (name.trim(), number.trim().parse().unwrap()),
                None => (item, next),
            };
            next = number + 1;
            assert!(numbers.insert(name.to_owned(), number).is_none(), "{name} twice");
        }
    }
    numbers
}

#[test]
fn the_codes_are_those_of_the_one_table() {
    let numbers = numbers();
    let code = |name: &str| numbers[&format!("RINGLOG_{name}")];
    for (name, exit) in [
        ("OTHER", Code::Other),
        ("INVALID", Code::Invalid),
        ("LOST", Code::Lost),
        ("CLAIMED", Code::Claimed),
        ("NOT_FOUND", Code::NotFound),
        ("UNUSABLE", Code::Unusable),
        ("OUTPUT", Code::Output),
        ("NO_ANSWER", Code::NoAnswer),
    ] {
        assert_eq!(code(name), -(exit as i64), "{name}");
    }
    // Of the table nothing is left out: the next number is no code of it.
    let source = fs::read_to_string(repository().join("crates/ringlog/src/error.rs")).unwrap();
    let (_, table) = source.split_once("pub enum Code {").unwrap();
    let (table, _) = table.split_once("\n}").unwrap();
    assert_eq!(table.matches(" = ").count(), 8, "a new code: the header has to have it");
    let own = fs::read_to_string(repository().join("crates/ringlog-c/src/abi.rs")).unwrap();
    for line in own.lines().filter(|line| line.trim().starts_with("pub const ")) {
        let (name, value) = line.trim()[10..].split_once(": ").unwrap();
        let Some(value) = value.split_once(" = ").map(|(_, value)| value.trim_end_matches(';'))
        else {
            continue;
        };
        // The codes and the flags; what is written as an expression is compared above.
        if let (Some(number), Ok(value)) =
            (numbers.get(&format!("RINGLOG_{name}")), value.parse::<i64>())
        {
            assert_eq!(*number, value, "{name}");
        }
    }
    let error = Log::open("/ringlog-c-no-such-log").unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }) && -(error.code() as i64) == code("NOT_FOUND"));
}

/// The structs of the library, as it lays them out, by what a program in C says of the same.
#[test]
fn structs_have_the_layout_of_the_library() {
    let source = fs::read_to_string(repository().join("crates/ringlog-c/src/abi.rs")).unwrap();
    let structs = [
        ("LogOptions", "ringlog_options"),
        ("CallOptions", "ringlog_call_options"),
        ("Positions", "ringlog_range"),
        ("Bytes", "ringlog_bytes"),
        ("Entry", "ringlog_entry"),
        ("Full", "ringlog_full"),
        ("ReaderState", "ringlog_reader_state"),
        ("Snapshot", "ringlog_snapshot"),
        ("Request", "ringlog_request"),
        ("AppendView", "ringlog_append_view"),
        ("PollView", "ringlog_poll_view"),
    ];
    let mut c = "#include \"ringlog.h\"\n".to_owned();
    for (rust, header) in structs {
        let (_, body) = source.split_once(&format!("pub struct {rust} {{\n")).expect(rust);
        let (body, _) = body.split_once("\n}").unwrap();
        let mut fields = Vec::new();
        let mut offset = 0_usize;
        for line in body.lines() {
            let field = line.trim().strip_prefix("pub ").unwrap().trim_end_matches(',');
            let (name, kind) = field.split_once(": ").unwrap();
            let (size, align) = layout_of(kind, &fields_of);
            offset = offset.next_multiple_of(align);
            fields.push((name.to_owned(), offset));
            offset += size;
        }
        for (name, offset) in &fields {
            writeln!(
                c,
                "_Static_assert(offsetof({header}, {name}) == {offset}, \"{header}.{name}\");"
            )
            .unwrap();
        }
        let size = offset.next_multiple_of(8);
        writeln!(c, "_Static_assert(sizeof({header}) == {size}, \"{header}\");").unwrap();
    }
    assert_compiles("c", &format!("{c}int main(void) {{ return 0; }}\n"));
}

/// Bytes and alignment of a type of abi.rs.
fn layout_of(kind: &str, inner: &dyn Fn(&str) -> usize) -> (usize, usize) {
    match kind {
        "u8" => (1, 1),
        "[u8; 2]" => (2, 1),
        "u32" | "i32" => (4, 4),
        "u64" | "usize" | "Cell<u64>" => (8, 8),
        kind if kind.starts_with('*') => (8, 8),
        "[ReaderState; 8]" => (8 * inner("ReaderState"), 8),
        kind => (inner(kind), 8),
    }
}

fn fields_of(name: &str) -> usize {
    match name {
        "Bytes" => 16,
        "ReaderState" => 64,
        other => panic!("{other} is a type that the test does not know"),
    }
}

#[test]
fn the_inlined_append_stores_where_the_layout_says() {
    let numbers = code();
    assert!(numbers.contains("#define RINGLOG_WRITING (UINT64_C(1) << 63)") && WRITING == 1 << 63);
    // A view gives addresses: the library's own, of the words that the format has at these offsets.
    let place = Place::new();
    let log = Log::options()
        .capacity(4)
        .create_with(place.shm.as_str(), &ringlog::Schema::declared("a:u64,b:u64").unwrap());
    let log = log.unwrap();
    let writer = log.writer::<ringlog::Raw>().unwrap();
    let view = writer.view();
    assert_eq!((view.mask, view.stride), (3, log.geometry().slot_size() as u64 / 8));
    assert_eq!(std::mem::offset_of!(Header, write_ptr), 0);
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let file = format!("/dev/shm/{}", &place.shm[1..]);
    let offset_of = |address: usize| {
        let line = maps.lines().filter(|line| line.ends_with(&file)).find_map(|line| {
            let (range, rest) = line.split_once(' ')?;
            let (from, to) = range.split_once('-')?;
            let hex = |text: &str| usize::from_str_radix(text, 16).ok();
            let offset = hex(rest.split(' ').nth(1)?)?;
            (hex(from)?..hex(to)?).contains(&address).then(|| offset + address - hex(from).unwrap())
        });
        line.unwrap_or_else(|| panic!("{address:#x} is not in the log:\n{maps}"))
    };
    assert_eq!(offset_of(view.write_ptr.addr()), 0);
    assert_eq!(offset_of(view.slots.addr()), ringlog::layout::HEADER_SIZE);
}

/// What the compiler says of a struct that is no record.
fn refused(members: &str, named: &str) -> String {
    let source = format!(
        "#include \"ringlog.hpp\"\nstruct Bad {{ {members} }};\nRINGLOG_RECORD(Bad, {named})\n"
    );
    let Ended { status, stderr, .. } = compiled("cpp", &source);
    assert!(!status.success(), "{members}");
    stderr
}

#[test]
fn a_record_with_padding_is_refused_when_it_is_compiled() {
    let gap = "its columns leave a gap or stand in another order";
    assert!(refused("std::uint32_t a; std::uint64_t b;", "a, b").contains(gap));
    assert!(refused("std::uint64_t a; std::uint32_t b;", "a, b").contains(gap)); // behind the last one
    assert!(refused("std::uint64_t a; std::uint64_t b;", "a").contains(gap));
    assert!(refused("std::uint64_t a; std::uint64_t b;", "b, a").contains(gap));
    assert!(refused("bool a;", "a").contains("no log has a column of this type"));
    assert!(refused("std::string a;", "a").contains("no log has a column of this type"));
    assert!(refused("char a[8];", "a").contains("no log has a column of this type"));
    let plain = "it has to be plain bytes";
    let stderr = refused("std::uint64_t a; virtual ~Bad() {}", "a");
    assert!(stderr.contains(plain) || stderr.contains("offsetof"), "{stderr}");
    assert_compiles(
        "cpp",
        "#include \"ringlog.hpp\"\nnamespace mine { struct Good { std::uint64_t a; std::uint32_t b; \
         ringlog::Pad<4> pad; }; RINGLOG_RECORD(Good, a, b, pad) }\n\
         int main() { return ringlog::schema_of<mine::Good>().empty(); }\n",
    );
}

#[test]
fn a_use_that_cannot_be_meant_is_refused_when_it_is_compiled() {
    let event = "#include \"ringlog.hpp\"\nstruct Event { std::uint64_t id; };\nRINGLOG_RECORD(Event, id)\n\
                 struct Odd { std::uint32_t id; };\nRINGLOG_RECORD(Odd, id)\n";
    for (statement, says) in [
        ("ringlog::Writer<Event> w; w.append(Event{1}, \"x\");", "have no body"),
        ("ringlog::Writer<Event, ringlog::body::text> w; w.append(Event{1});", "append it too"),
        (
            "ringlog::Writer<Event, ringlog::body::text> w; w.append_value(Event{1}, 7);",
            "body::msgpack",
        ),
        ("ringlog::schema_of<Odd, ringlog::body::text>();", "whole words"),
        ("ringlog::Writer<ringlog::None> w;", "a record or a body"),
        (
            "ringlog::Client<ringlog::body::bytes> c; c.call<int>(1, 7, ringlog::forever);",
            "Client<body::msgpack>",
        ),
        ("ringlog::pack('x');", "use std::int8_t or std::string"),
        ("ringlog::Writer<Event> a; ringlog::Writer<Event> b = a;", "deleted"),
    ] {
        let source = format!("{event}int main() {{ {statement} }}\n");
        let Ended { status, stderr, .. } = compiled("cpp", &source);
        assert!(!status.success(), "{statement}");
        assert!(stderr.contains(says), "{statement}: {stderr}");
    }
}

#[test]
fn headers_of_more_than_500_lines_say_why() {
    for file in ["ringlog.h", "ringlog.hpp", "ringlog_pack.hpp"] {
        let text = text(file);
        let head: String = text.lines().take(25).collect();
        assert!(text.lines().count() <= 500 || head.contains("Long"), "{file}");
        let wide = text.lines().find(|line| line.chars().count() > 120);
        assert_eq!(wide, None, "{file}: more than 120 columns");
    }
    assert!(Path::new(&include()).is_dir());
}
