//! `--where`: which entries are wanted.

use ringlog::{Body, Column, Entry, Kind, Schema, Timestamp, until_nul};
use ringlog_rows::{Value as _, json_of};
use serde_json::{Number, Value as Json};
use std::cmp::Ordering;

pub fn column<'a>(schema: &'a Schema, name: &str) -> Result<&'a Column, String> {
    let columns = schema.columns();
    columns.iter().find(|column| column.name() == name).ok_or_else(|| {
        let names: Vec<_> = schema.names().collect();
        format!("no column is named `{name}`; they are seq,{}", names.join(","))
    })
}

/// `symbol=AAPL`
#[derive(Debug)]
pub struct Condition {
    what: What,
    operator: Operator,
    value: Comparable,
}

/// What is compared.
#[derive(Debug)]
enum What {
    Position,
    Column(Column),
    /// The whole body.
    Body,
    /// The value at a path in the body: `body.bids.0.price`.
    At(Body, Vec<String>, Option<Number>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Is,
    IsNot,
    Less,
    LessOrIs,
    More,
    MoreOrIs,
    Contains,
}

/// A value to compare: a number as a number, a decimal in its units, a text by its bytes.
#[derive(Debug, PartialEq, PartialOrd)]
enum Comparable {
    Integer(i128),
    Float(f64),
    Text(Vec<u8>),
}

impl Condition {
    pub fn parse(text: &str, schema: &Schema) -> Result<Condition, String> {
        let name_ends = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        let (name, rest) = text.split_at(text.find(name_ends).unwrap_or(text.len()));
        let (path, rest) = match rest.strip_prefix('.') {
            Some(rest) => {
                let (path, rest) =
                    rest.split_at(rest.find(['=', '!', '<', '>', '~']).unwrap_or(rest.len()));
                (Some(path.trim()), rest)
            }
            None => (None, rest),
        };
        let operators = [
            ("!=", Operator::IsNot),
            ("<=", Operator::LessOrIs),
            (">=", Operator::MoreOrIs),
            ("==", Operator::Is),
            ("=", Operator::Is),
            ("<", Operator::Less),
            (">", Operator::More),
            ("~", Operator::Contains),
        ];
        let rest = rest.trim_start();
        let found = operators.iter().find_map(|(sign, operator)| {
            rest.strip_prefix(sign).map(|value| (*operator, value.trim()))
        });
        let Some((operator, value)) = found.filter(|_| !name.is_empty()) else {
            return Err(format!(
                "`{text}` is not a column, one of = != < <= > >= ~, and a value, as in symbol=AAPL"
            ));
        };
        if let ("seq", Some(path)) = (name, path) {
            return Err(format!("`{text}`: seq is the position, and has no `{path}` in it"));
        }
        if name == "seq" && operator != Operator::Contains {
            let position: u64 = value.parse().map_err(|_| format!("`{value}` is no position"))?;
            let value = Comparable::Integer(position.into());
            return Ok(Condition { what: What::Position, operator, value });
        }
        if let Some(body) = schema.body().filter(|body| body.name() == name) {
            let what = match (path, body.kind()) {
                (None, _) => What::Body,
                (Some(path), kind @ (Body::Json | Body::MsgPack)) => {
                    let path = path.split('.').map(str::to_owned).collect();
                    What::At(kind, path, serde_json::from_str(value).ok())
                }
                (Some(path), kind) => {
                    return Err(format!("`{text}`: {name} is {kind}, and has no `{path}` in it"));
                }
            };
            return Ok(Condition { what, operator, value: Comparable::Text(value.into()) });
        }
        let column = column(schema, name)?;
        if let Some(path) = path {
            let kind = column.kind();
            return Err(format!("`{text}`: {name} is a {kind}, and has no `{path}` in it"));
        }
        let kind = column.kind();
        let value = match (operator, kind) {
            (Operator::Contains, Kind::Text(_)) => Comparable::Text(value.into()),
            (Operator::Contains, _) => {
                return Err(format!(
                    "`{text}`: only a text can contain another, {name} is a {kind}"
                ));
            }
            _ => {
                let mut bytes = vec![0; kind.size()];
                let parsed = match kind {
                    Kind::Timestamp => ago(value).map(|ns| bytes = ns.to_le_bytes().to_vec()),
                    _ => None,
                };
                if parsed.is_none() {
                    kind.parse(value, &mut bytes).map_err(|e| format!("{name}: {e}"))?;
                }
                Comparable::of(kind, &bytes)
            }
        };
        Ok(Condition { what: What::Column(column.clone()), operator, value })
    }

    pub fn holds(&self, position: u64, entry: Entry<'_>) -> bool {
        let value = match &self.what {
            What::Position => Comparable::Integer(position.into()),
            What::Column(column) => Comparable::of(column.kind(), column.bytes(entry.columns)),
            What::Body => Comparable::Text(entry.body.to_vec()),
            What::At(kind, path, number) => {
                return self.holds_of(at(*kind, entry.body, path).as_ref(), number.as_ref());
            }
        };
        self.holds_as(&value, &self.value)
    }

    /// Compares a value in a body. A missing value equals nothing.
    fn holds_of(&self, found: Option<&Json>, wanted: Option<&Number>) -> bool {
        match (found, wanted) {
            (None, _) => self.operator == Operator::IsNot,
            (Some(Json::String(found)), _) => {
                self.holds_as(&Comparable::Text(found.as_bytes().to_vec()), &self.value)
            }
            (Some(Json::Number(found)), Some(wanted)) if self.operator != Operator::Contains => {
                match (Comparable::whole(found), Comparable::whole(wanted)) {
                    (Some(found), Some(wanted)) => self.holds_as(&found, &wanted),
                    _ => {
                        let float = |it: &Number| it.as_f64().map(Comparable::Float);
                        let both = float(found).zip(float(wanted));
                        both.is_some_and(|(found, wanted)| self.holds_as(&found, &wanted))
                    }
                }
            }
            (Some(found), _) => {
                self.holds_as(&Comparable::Text(found.to_string().into()), &self.value)
            }
        }
    }

    fn holds_as(&self, value: &Comparable, wanted: &Comparable) -> bool {
        // A NaN is neither less, nor greater, nor equal.
        let order = value.partial_cmp(wanted);
        match self.operator {
            Operator::Is => order == Some(Ordering::Equal),
            Operator::IsNot => order != Some(Ordering::Equal),
            Operator::Less => order == Some(Ordering::Less),
            Operator::LessOrIs => order.is_some_and(Ordering::is_le),
            Operator::More => order == Some(Ordering::Greater),
            Operator::MoreOrIs => order.is_some_and(Ordering::is_ge),
            Operator::Contains => match (value, wanted) {
                (Comparable::Text(text), Comparable::Text(part)) => {
                    part.is_empty() || text.windows(part.len()).any(|window| window == part)
                }
                _ => false,
            },
        }
    }
}

/// Returns the value at a path in a body; members of an array by their number.
fn at(kind: Body, body: &[u8], path: &[String]) -> Option<Json> {
    let mut json = Vec::new();
    let body = match kind {
        Body::Json => body,
        _ => json_of(kind, body, &mut json).then_some(json.as_slice())?,
    };
    let whole: Json = serde_json::from_slice(body).ok()?;
    let found = path.iter().try_fold(&whole, |value, key| match value {
        Json::Object(members) => members.get(key),
        Json::Array(values) => values.get(key.parse::<usize>().ok()?),
        _ => None,
    });
    found.cloned()
}

impl Comparable {
    fn whole(number: &Number) -> Option<Comparable> {
        number.as_i128().map(Comparable::Integer)
    }

    pub fn of(kind: Kind, bytes: &[u8]) -> Comparable {
        let mut eight = [0; 8];
        let bits = match kind {
            Kind::Text(_) => 0,
            _ => {
                eight[..bytes.len()].copy_from_slice(bytes);
                u64::from_le_bytes(eight)
            }
        };
        match kind {
            Kind::F32 => Comparable::Float(f32::from_bits(bits as u32).into()),
            Kind::F64 => Comparable::Float(f64::from_bits(bits)),
            Kind::Bool => Comparable::Integer((bits != 0).into()),
            Kind::I8 => Comparable::Integer((bits as i8).into()),
            Kind::I16 => Comparable::Integer((bits as i16).into()),
            Kind::I32 => Comparable::Integer((bits as i32).into()),
            Kind::I64 | Kind::Timestamp | Kind::Decimal(_) => {
                Comparable::Integer((bits as i64).into())
            }
            Kind::Text(_) => Comparable::Text(until_nul(bytes).to_vec()),
            _ => Comparable::Integer(bits.into()),
        }
    }
}

/// Parses `-5m`: the time that long ago, in ns since the Unix epoch.
fn ago(text: &str) -> Option<i64> {
    let time = humantime::parse_duration(text.strip_prefix('-')?).ok()?;
    let now = Timestamp::now().as_nanos();
    Some(now.saturating_sub(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)))
}
