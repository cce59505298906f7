//! Types that are often written in a record and cannot be a column, with what to write instead.

use syn::{Error, Result, Type};

/// Refuses a type by how it is written in the source; `Field` refuses the others.
pub fn check(field: &str, ty: &Type) -> Result<()> {
    match instead(field, ty) {
        None => Ok(()),
        Some(why) => Err(Error::new_spanned(ty, why)),
    }
}

fn instead(field: &str, ty: &Type) -> Option<String> {
    let cannot = |what: &str, cure: &str| Some(format!("{what} cannot be a column: {cure}"));
    match ty {
        Type::Group(group) => instead(field, &group.elem),
        Type::Paren(paren) => instead(field, &paren.elem),
        Type::Array(_) => cannot(
            "an array",
            "write a column for each element, `Text<N>` for text, or #[record(skip)] for bytes that are no column",
        ),
        Type::Tuple(_) => cannot("a tuple", "a column has a name; write a field for each part"),
        Type::Reference(_) | Type::Ptr(_) | Type::Slice(_) => cannot(
            "a pointer",
            "it means nothing in another process; write the value, or `Text<N>` for text",
        ),
        Type::Path(path) => {
            let name = path.path.segments.last()?.ident.to_string();
            match name.as_str() {
                "bool" => cannot(
                    "`bool`",
                    "not every byte is a `bool`, and a log's bytes are not trusted; write `Bool`",
                ),
                "char" => {
                    cannot("`char`", "not every number is a `char`; write `Text<4>`, or `u32`")
                }
                "Option" => cannot(
                    "`Option`",
                    &format!(
                        "a log has no type for it; write the value, and `has_{field}: Bool` beside it"
                    ),
                ),
                "String" | "str" => {
                    cannot("`String`", "a record has a fixed size; write `Text<N>`, of N bytes")
                }
                "usize" => cannot("`usize`", "its size differs between machines; write `u64`"),
                "isize" => cannot("`isize`", "its size differs between machines; write `i64`"),
                "u128" | "i128" => cannot(
                    &format!("`{name}`"),
                    "the largest number has 8 bytes; write two fields of `u64`",
                ),
                "Vec" | "Box" | "Cow" | "Rc" | "Arc" => cannot(
                    &format!("`{name}`"),
                    "it points to memory of this process; write the values, or `Text<N>` for text",
                ),
                "SystemTime" | "Instant" | "DateTime" | "NaiveDateTime" => {
                    cannot(&format!("`{name}`"), "write `Timestamp`, which has a `From` for it")
                }
                "Duration" => cannot("`Duration`", "write `u64`, as nanoseconds"),
                _ => None,
            }
        }
        _ => None,
    }
}
