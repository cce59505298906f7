//! `#[derive(Variants)]`: an enum as numbers and names.

use crate::{Options, representation, without_parameters};
use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Error, Fields, Result};

const NUMBERS: [&str; 8] = ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64"];

pub fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let name = &input.ident;
    let refuse = |why: String| Err(Error::new_spanned(name, why));
    let Data::Enum(data) = &input.data else {
        return refuse(format!("`{name}` is not an enum; for a newtype, derive `Field`"));
    };
    without_parameters(input)?;
    let words = representation(&input.attrs)?;
    let Some(number) = words.iter().find(|word| NUMBERS.iter().any(|it| word == it)) else {
        return refuse(format!(
            "`{name}` has no number to be stored as: write #[repr(u8)], or another of {}",
            NUMBERS.join(", ")
        ));
    };
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            let why = "a variant with fields cannot be a number: write the fields into the record";
            return Err(Error::new_spanned(variant, why));
        }
    }
    if data.variants.is_empty() {
        return refuse(format!("`{name}` has no variants"));
    }
    let ringlog = Options::of(&input.attrs)?.ringlog();
    let variants: Vec<_> = data.variants.iter().map(|variant| &variant.ident).collect();
    let names = variants.iter().map(|variant| variant.unraw().to_string());
    Ok(quote! {
        #[automatically_derived]
        impl #ringlog::Variants for #name {
            type Number = #number;
            const VARIANTS: &'static [(#name, &'static str)] = &[#((#name::#variants, #names)),*];
            #[inline]
            fn number(self) -> #number {
                self as #number
            }
            #[inline]
            fn from_number(number: #number) -> ::core::option::Option<#name> {
                #(if number == #name::#variants as #number {
                    return ::core::option::Option::Some(#name::#variants);
                })*
                ::core::option::Option::None
            }
        }
    })
}
