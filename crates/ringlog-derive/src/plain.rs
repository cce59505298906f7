//! The only `unsafe` that the derives write: a type that is plain bytes.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::Path;

/// Implements `Pod` for a type. Its derive has checked that each of its parts is `Pod`, and that it
/// has no byte that belongs to no part, because it is `repr(transparent)`, or `repr(C)` and
/// measured by constants.
pub fn implement(ty: &Ident, ringlog: &Path) -> TokenStream {
    quote! {
        // SAFETY: each part is `Pod`, and there is no byte between or after the parts, as the
        // derive checks.
        #[automatically_derived]
        unsafe impl #ringlog::bytemuck::Zeroable for #ty {}
        // SAFETY: as above; it is `Copy` and `'static`, or this does not compile.
        #[automatically_derived]
        unsafe impl #ringlog::bytemuck::Pod for #ty {}
    }
}
