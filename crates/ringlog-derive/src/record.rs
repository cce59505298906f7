//! `#[derive(Record)]`.

use crate::{Options, plain, representation, types, without_parameters};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, Ident, Path, Result, Type};

/// A field of the record: a column, or skipped.
struct Part<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    /// The column's name; `None` if it is skipped.
    column: Option<String>,
}

pub fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let record = &input.ident;
    let refuse = |why: String| Err(Error::new_spanned(record, why));
    let fields = match &input.data {
        Data::Struct(data) => &data.fields,
        _ => return refuse(format!("`{record}` is not a struct: only a struct can be a record")),
    };
    without_parameters(input)?;
    let Fields::Named(fields) = fields else {
        return refuse(format!(
            "`{record}` has no named fields: a column has a name; write `struct {record} {{ price: f64 }}`"
        ));
    };
    let words = representation(&input.attrs)?;
    if !words.iter().any(|word| word == "C" || word == "transparent") {
        return refuse(format!(
            "`{record}` needs #[repr(C)]: without it the compiler chooses where fields lie, and the \
             next program may have them elsewhere"
        ));
    }
    let parts: Vec<Part> = fields.named.iter().filter_map(part).collect::<Result<_>>()?;
    if parts.iter().all(|part| part.column.is_none()) {
        return refuse(format!("`{record}` has no column: a record has at least one"));
    }
    refuse_twins(&parts)?;
    let ringlog = Options::of(&input.attrs)?.ringlog();
    Ok(implement(record, &parts, &ringlog))
}

/// Parses a field; `None` for one without a name, which no such struct has.
fn part(field: &Field) -> Option<Result<Part<'_>>> {
    field.ident.as_ref().map(|ident| named(field, ident))
}

fn named<'a>(field: &'a Field, ident: &'a Ident) -> Result<Part<'a>> {
    let options = Options::of(&field.attrs)?;
    let (own, refuse) =
        (ident.unraw().to_string(), |why: String| Err(Error::new_spanned(ident, why)));
    if options.skip {
        return match options.name {
            Some(_) => {
                refuse(format!("`{own}` is skipped, and named as a column: remove one of the two"))
            }
            None => Ok(Part { ident, ty: &field.ty, column: None }),
        };
    }
    let column = match &options.name {
        Some(name) => name.value(),
        None if own.starts_with('_') => {
            return refuse(format!(
                "`{own}` is neither a column nor skipped: write #[record(skip)] for padding, or \
                 #[record(name = \"...\")] for a column"
            ));
        }
        None => own,
    };
    if column == "seq" {
        return refuse(
            "`seq` is the name of the position's column: write #[record(name = \"...\")] with another \
             name"
                .to_owned(),
        );
    }
    types::check(&column, &field.ty)?;
    Ok(Part { ident, ty: &field.ty, column: Some(column) })
}

fn refuse_twins(parts: &[Part]) -> Result<()> {
    for (i, part) in parts.iter().enumerate() {
        let is_twin = |earlier: &Part| part.column.is_some() && earlier.column == part.column;
        if parts[..i].iter().any(is_twin) {
            let name = part.column.as_deref().unwrap_or_default();
            return Err(Error::new_spanned(part.ident, format!("two columns are named `{name}`")));
        }
    }
    Ok(())
}

fn implement(record: &Ident, parts: &[Part], ringlog: &Path) -> TokenStream {
    let columns = parts.iter().filter_map(|Part { ident, ty, column }| {
        let name = column.as_ref()?;
        // The error for a type that cannot be a column points at that type.
        Some(quote_spanned! {ty.span()=>
            #ringlog::Column::of::<#ty>(#name, ::core::mem::offset_of!(#record, #ident))
        })
    });
    let skipped = parts.iter().filter(|part| part.column.is_none()).map(|part| {
        let ty = part.ty;
        quote_spanned! {ty.span()=>
            const _: fn() = || {
                fn is_bytes<T: #ringlog::bytemuck::Pod>() {}
                is_bytes::<#ty>();
            };
        }
    });
    let gaps = (0..parts.len()).map(|i| gap(record, parts, i));
    let plain = plain::implement(record, ringlog);
    quote! {
        #plain
        #[automatically_derived]
        impl #ringlog::Record for #record {
            const COLUMNS: &'static [#ringlog::Column] = &[#(#columns),*];
        }
        // A constant that is not used is not evaluated, and so checks nothing.
        const _: &[#ringlog::Column] = <#record as #ringlog::Record>::COLUMNS;
        #(#skipped)*
        #(#gaps)*
    }
}

/// Refuses bytes after field `i` that belong to no field: the compiler may leave anything in them.
fn gap(record: &Ident, parts: &[Part], i: usize) -> TokenStream {
    let Part { ident, ty, .. } = &parts[i];
    let (next, span, place) = match parts.get(i + 1) {
        Some(Part { ident: next, .. }) => (
            quote!(::core::mem::offset_of!(#record, #next)),
            next.span(),
            format!("before `{next}`"),
        ),
        None => {
            (quote!(::core::mem::size_of::<#record>()), record.span(), format!("after `{ident}`"))
        }
    };
    let arms = (1..8usize).map(|bytes| refusal(record, &place, bytes, span));
    let many = format!("`{record}` has padding {place}: put fields with #[record(skip)] there");
    quote_spanned! {span=>
        const _: () = match #next - (::core::mem::offset_of!(#record, #ident) + ::core::mem::size_of::<#ty>()) {
            0 => {}
            #(#arms)*
            _ => ::core::panic!(#many),
        };
    }
}

fn refusal(record: &Ident, place: &str, bytes: usize, span: Span) -> TokenStream {
    let unit = if bytes == 1 { "byte" } else { "bytes" };
    let pad = format_ident!("_pad");
    let why = format!(
        "`{record}` has {bytes} {unit} of padding {place}: order its fields from large to small, or put \
         `#[record(skip)] {pad}: [u8; {bytes}],` there"
    );
    quote_spanned! {span=> #bytes => ::core::panic!(#why), }
}
