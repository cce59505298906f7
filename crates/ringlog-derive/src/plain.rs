//! The only `unsafe` that the derives write: a type that is bytes and nothing else.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::Path;

/// Says it of a type, whose derive has seen to it: each part of it is `Pod`, and it has no byte that
/// belongs to none, for it is `repr(transparent)`, or `repr(C)` and measured by constants.
pub fn implement(ty: &Ident, ringlog: &Path) -> TokenStream {
    quote! {
        // SAFETY: each part is `Pod`, and there is no byte between or behind them, as the derive says.
        #[automatically_derived]
        unsafe impl #ringlog::bytemuck::Zeroable for #ty {}
        // SAFETY: as above; it is `Copy` and `'static`, or this does not compile.
        #[automatically_derived]
        unsafe impl #ringlog::bytemuck::Pod for #ty {}
    }
}
