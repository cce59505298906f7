//! `#[derive(Field)]`: a newtype over a column type is a column of that type.

use crate::{Options, plain, representation, types, without_parameters};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Result};

pub fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let newtype = &input.ident;
    let refuse = |why: String| Err(Error::new_spanned(newtype, why));
    let fields = match &input.data {
        Data::Struct(data) => &data.fields,
        Data::Enum(_) => {
            return refuse(format!(
                "`{newtype}` is an enum: derive `Variants`, and write `Enum<{newtype}>` in the record"
            ));
        }
        Data::Union(_) => {
            return refuse(format!("`{newtype}` is a union: write the fields you mean"));
        }
    };
    without_parameters(input)?;
    let mut all = fields.iter();
    let (Some(inner), None) = (all.next(), all.next()) else {
        return refuse(format!(
            "`{newtype}` has {} fields: a newtype has one; write the fields of another struct into the \
             record, one by one",
            fields.len()
        ));
    };
    if !representation(&input.attrs)?.iter().any(|word| word == "transparent") {
        return refuse(format!(
            "`{newtype}` needs #[repr(transparent)], to have exactly the bytes of its field"
        ));
    }
    types::check("value", &inner.ty)?;
    let (ty, ringlog) = (&inner.ty, Options::of(&input.attrs)?.ringlog());
    let kind = quote_spanned! {ty.span()=> <#ty as #ringlog::Field>::KIND };
    let plain = plain::implement(newtype, &ringlog);
    Ok(quote! {
        #plain
        #[automatically_derived]
        impl #ringlog::Field for #newtype {
            const KIND: #ringlog::Kind = #kind;
        }
    })
}
