//! The derives of the crate `ringlog`, where they are documented. Each refuses at compile time what
//! no log can hold, and says what to write instead.

mod field;
mod plain;
mod record;
mod types;
mod variants;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use syn::{Attribute, DeriveInput, Error, Ident, LitStr, Path, Result, parse_macro_input};

/// Derives `ringlog::Record`, and what it requires: `Pod` and `Zeroable`.
#[proc_macro_derive(Record, attributes(record))]
pub fn derive_record(input: TokenStream) -> TokenStream {
    finish(record::derive(&parse_macro_input!(input as DeriveInput)))
}

/// Derives `ringlog::Field` for a newtype over a column type.
#[proc_macro_derive(Field, attributes(record))]
pub fn derive_field(input: TokenStream) -> TokenStream {
    finish(field::derive(&parse_macro_input!(input as DeriveInput)))
}

/// Derives `ringlog::Variants` for an enum whose variants have no fields.
#[proc_macro_derive(Variants, attributes(record))]
pub fn derive_variants(input: TokenStream) -> TokenStream {
    finish(variants::derive(&parse_macro_input!(input as DeriveInput)))
}

fn finish(derived: Result<Tokens>) -> TokenStream {
    derived.unwrap_or_else(Error::into_compile_error).into()
}

/// What `#[record(...)]` says of a type or a field.
#[derive(Default)]
struct Options {
    /// `crate = "path"`: where `ringlog` is, if the crate has another name for it.
    ringlog: Option<Path>,
    /// `name = "column"`.
    name: Option<LitStr>,
    /// `skip`: stored, but no column.
    skip: bool,
}

impl Options {
    fn of(attributes: &[Attribute]) -> Result<Options> {
        let mut options = Options::default();
        for attribute in attributes.iter().filter(|it| it.path().is_ident("record")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("skip") {
                    options.skip = true;
                } else if meta.path.is_ident("name") {
                    options.name = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("crate") {
                    options.ringlog = Some(meta.value()?.parse::<LitStr>()?.parse()?);
                } else {
                    return Err(meta.error("unknown option; there are `skip`, `name` and `crate`"));
                }
                Ok(())
            })?;
        }
        Ok(options)
    }

    /// Returns the path of the crate `ringlog`.
    fn ringlog(self) -> Path {
        self.ringlog.unwrap_or_else(|| syn::parse_quote!(::ringlog))
    }
}

/// Returns the words in `#[repr(...)]`.
fn representation(attributes: &[Attribute]) -> Result<Vec<Ident>> {
    let mut words = Vec::new();
    for attribute in attributes.iter().filter(|it| it.path().is_ident("repr")) {
        attribute.parse_nested_meta(|meta| {
            words.extend(meta.path.get_ident().cloned());
            if meta.input.peek(syn::token::Paren) {
                let content;
                syn::parenthesized!(content in meta.input);
                content.parse::<Tokens>()?; // packed(2), align(64): checked later
            }
            Ok(())
        })?;
    }
    Ok(words)
}

/// Refuses parameters: in a log's schema, one name stands for one layout.
fn without_parameters(input: &DeriveInput) -> Result<()> {
    match input.generics.params.first() {
        None => Ok(()),
        Some(parameter) => Err(Error::new_spanned(
            parameter,
            format!(
                "`{}` cannot have parameters: a log has one layout; write a type for each",
                input.ident
            ),
        )),
    }
}
