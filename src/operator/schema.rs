//! `ringlog schema`: what the entries of a log consist of, for people and for programs.

use crate::cli::{Code, Failed, grouped, one_line};
use crate::operator::screen::{Cell, Look, has_colour, print, table};
use crate::operator::which::OneLog;
use ringlog::{Body, Column, Kind, Log, Schema};
use serde::Serialize;

/// Show the columns of a log
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  ringlog schema                                  the columns, as a table
  ringlog schema /engine --rust > entry.rs        a struct for the engine, or for a reader in Rust
  ringlog dump /engine | writer --shm /copy --input - --schema \"$(ringlog schema --declare /engine)\"
                                                  another log, of the same columns and entries")]
pub struct Args {
    #[command(flatten)]
    log: OneLog,
    /// Print them as `writer --schema` takes them
    #[arg(long, conflicts_with_all = ["rust", "json"])]
    declare: bool,
    /// Print them as a struct in Rust
    #[arg(long, conflicts_with = "json")]
    rust: bool,
    /// Print them as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> anyhow::Result<()> {
    let log = args.log.open()?;
    let text = match () {
        () if args.declare => declaration(log.schema()).map_err(|why| Failed(Code::Other, why))?,
        () if args.rust => rust(&log).map_err(|why| Failed(Code::Other, why))?,
        () if args.json => json(&log)?,
        () => shown(&log),
    };
    print(text)
}

fn shown(log: &Log) -> String {
    let head = |text, right| Cell { right, ..Cell::text(text) }.look(Look::Dim);
    let heads =
        vec![head("column", false), head("type", false), head("offset", true), head("size", true)];
    let row = |column: &Column| {
        vec![
            Cell::text(column.name()),
            Cell::text(column.kind()),
            Cell::number(column.offset()),
            Cell::number(column.kind().size()),
        ]
    };
    let body = log.schema().body().map(|body| {
        let (name, kind) = (Cell::text(body.name()), Cell::text(body.kind()));
        vec![name, kind, Cell::number(log.schema().entry_size()), Cell::text("any")]
    });
    let rows: Vec<_> =
        std::iter::once(heads).chain(log.schema().columns().iter().map(row)).chain(body).collect();
    let geometry = log.geometry();
    let bodies = match geometry.arena_size() {
        0 => String::new(),
        arena => format!(
            ", bodies of up to {} bytes in it, longer ones in an arena of {}",
            grouped(geometry.inline_size() as u64),
            grouped(arena),
        ),
    };
    format!(
        "{}{}, {} bytes a record, {} a slot{bodies}\n",
        table(&rows, has_colour()),
        match rows.len() - 1 {
            1 => "1 column".to_owned(),
            count => format!("{} columns", grouped(count as u64)),
        },
        grouped(geometry.entry_size() as u64),
        grouped(geometry.slot_size() as u64),
    )
}

/// A log's schema in JSON.
#[derive(Serialize)]
struct Json<'a> {
    log: String,
    record_bytes: usize,
    slot_bytes: usize,
    columns: Vec<JsonColumn<'a>>,
    /// The body after the columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<JsonBody<'a>>,
}

#[derive(Serialize)]
struct JsonBody<'a> {
    name: &'a str,
    r#type: &'static str,
    inline_bytes: usize,
    arena_bytes: u64,
}

#[derive(Serialize)]
struct JsonColumn<'a> {
    name: &'a str,
    r#type: String,
    offset: usize,
    size: usize,
}

fn json(log: &Log) -> anyhow::Result<String> {
    let columns = log.schema().columns().iter().map(|column| JsonColumn {
        name: column.name(),
        r#type: column.kind().to_string(),
        offset: column.offset(),
        size: column.kind().size(),
    });
    let json = Json {
        log: log.name().to_string(),
        record_bytes: log.geometry().entry_size(),
        slot_bytes: log.geometry().slot_size(),
        columns: columns.collect(),
        body: log.schema().body().map(|body| JsonBody {
            name: body.name(),
            r#type: body.kind().name(),
            inline_bytes: log.geometry().inline_size(),
            arena_bytes: log.geometry().arena_size(),
        }),
    };
    Ok(serde_json::to_string(&json)? + "\n")
}

/// Returns `time:timestamp,symbol:text8`, if that is laid out as this log is.
fn declaration(schema: &Schema) -> Result<String, String> {
    let columns = schema.columns().iter();
    let body = schema.body().map(|it| format!("{}:{}", it.name(), it.kind()));
    let text: Vec<_> =
        columns.map(|it| format!("{}:{}", it.name(), it.kind())).chain(body).collect();
    let text = text.join(",");
    match Schema::declared(&text) {
        Ok(declared) if declared == *schema => Ok(text + "\n"),
        _ => Err(
            "a declaration cannot give its layout: the columns leave gaps, which --rust shows, or \
             are in another order"
                .to_owned(),
        ),
    }
}

/// Returns a Rust struct with this record.
fn rust(log: &Log) -> Result<String, String> {
    let schema = log.schema();
    let fields = schema.columns();
    if !fields.is_sorted_by_key(Column::offset) {
        return Err(
            "its columns are in another order than in the record, which no struct can have"
                .to_owned(),
        );
    }
    let (mut text, mut imports, mut end, mut align, mut gaps) = (String::new(), vec![], 0, 1, 0);
    let mut gap = |text: &mut String, from: usize, to: usize| {
        while schema.columns().iter().any(|column| column.name() == format!("_gap{gaps}")) {
            gaps += 1;
        }
        *text += &format!("    #[record(skip)]\n    pub _gap{gaps}: [u8; {}],\n", to - from);
        gaps += 1;
    };
    for column in fields {
        let (name, kind, offset) = (column.name(), column.kind(), column.offset());
        if !is_field_name(name) {
            return Err(format!("`{name}` cannot be the name of a field in Rust"));
        }
        if offset < end {
            return Err(format!("`{name}` begins within another column, as no field in Rust can"));
        }
        if !offset.is_multiple_of(kind.align()) {
            return Err(format!("`{name}` is not aligned, as a field in Rust has to be"));
        }
        if offset > end {
            gap(&mut text, end, offset);
        }
        let (import, shown) = match kind {
            Kind::Text(length) => (Some("Text"), format!("Text<{length}>")),
            Kind::Decimal(scale) => (Some("Decimal"), format!("Decimal<{scale}>")),
            Kind::Timestamp => (Some("Timestamp"), "Timestamp".to_owned()),
            Kind::Bool => (Some("Bool"), "Bool".to_owned()),
            kind => (None, kind.to_string()),
        };
        imports.extend(import);
        if name.starts_with('_') {
            text += &format!("    #[record(name = \"{name}\")]\n");
        }
        text += &format!("    pub {name}: {shown},\n");
        (end, align) = (offset + kind.size(), align.max(kind.align()));
    }
    if !schema.entry_size().is_multiple_of(align) {
        return Err(
            "the record's size is no multiple of its alignment, as that of a struct in Rust \
                    has to be"
                .to_owned(),
        );
    }
    if end < schema.entry_size() {
        gap(&mut text, end, schema.entry_size());
    }
    imports.push("Record");
    imports.sort_unstable();
    imports.dedup();
    let imports = match imports.as_slice() {
        [only] => (*only).to_owned(),
        several => format!("{{{}}}", several.join(", ")),
    };
    let form = schema.body().map(|body| {
        let form = match body.kind() {
            Body::Bytes => "Bytes",
            Body::Text => "Utf8",
            Body::Json => "Json",
            Body::MsgPack => "MsgPack",
        };
        format!(" Its log is of `With<Entry, {form}>`.")
    });
    if fields.is_empty() {
        return Err("it has no columns but a body: its log is of `With<(), ...>`".to_owned());
    }
    Ok(format!(
        "use ringlog::{imports};\n\n/// An entry of {}.{}\n#[derive(Clone, Copy, Record)]\n#[repr(C)]\n\
         pub struct Entry {{\n{text}}}\n",
        one_line(&log.name().to_string()),
        form.unwrap_or_default(),
    ))
}

fn is_field_name(name: &str) -> bool {
    const KEYWORDS: &str = "_ abstract as async await become box break const continue crate do dyn \
                            else enum extern false final fn for gen if impl in let loop macro match \
                            mod move mut override priv pub ref return self Self static struct super \
                            trait true try type typeof unsafe unsized use virtual where while yield";
    KEYWORDS.split_ascii_whitespace().all(|keyword| keyword != name)
}
