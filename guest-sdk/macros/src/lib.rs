//! The attributes of `hive-guest`. They are documented where that crate exports them.
//!
//! They work on plain tokens, because all that they need of a function is its name.

use proc_macro::{Delimiter, Ident, Span, TokenStream, TokenTree};

/// See `hive_guest::consumer`.
#[proc_macro_attribute]
pub fn consumer(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand("consumer", arguments, item)
}

/// See `hive_guest::batch_consumer`.
#[proc_macro_attribute]
pub fn batch_consumer(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand("batch_consumer", arguments, item)
}

/// The unchanged function, and its export to the host.
fn expand(attribute: &str, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let export = function_name(item.clone())
        .and_then(|handler| Ok((handler, Lifecycle::parse(arguments)?)))
        .map(|(handler, lifecycle)| export(attribute, &handler, &lifecycle))
        .unwrap_or_else(|(message, span)| compile_error(attribute, &message, span));
    let mut expanded = item;
    expanded.extend(export);
    expanded
}

type Fault = (String, Span);

/// The identifier after the item's `fn`.
fn function_name(item: TokenStream) -> Result<Ident, Fault> {
    let mut tokens = item.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(word) if word.to_string() == "fn" => match tokens.next() {
                Some(TokenTree::Ident(name)) => return Ok(name),
                _ => break,
            },
            TokenTree::Ident(word) if word.to_string() == "async" => {
                return Err((
                    "the handler cannot be async: the host calls it and waits".into(),
                    word.span(),
                ));
            }
            TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => break,
            _ => {}
        }
    }
    Err(("it goes on a function".into(), Span::call_site()))
}

/// `start = warm_up, stop = flush`, both optional.
#[derive(Default)]
struct Lifecycle {
    start: Option<Ident>,
    stop: Option<Ident>,
}

impl Lifecycle {
    fn parse(arguments: TokenStream) -> Result<Self, Fault> {
        let mut lifecycle = Self::default();
        let mut tokens = arguments.into_iter().peekable();
        while let Some(token) = tokens.next() {
            let (key, span) = (token.to_string(), token.span());
            let is_assignment =
                matches!(tokens.next(), Some(TokenTree::Punct(sign)) if sign.as_char() == '=');
            let slot = match key.as_str() {
                "start" => &mut lifecycle.start,
                "stop" => &mut lifecycle.stop,
                _ => return Err((format!("it takes `start` and `stop`, and no {key:?}"), span)),
            };
            match tokens.next() {
                Some(TokenTree::Ident(function)) if is_assignment => *slot = Some(function),
                _ => return Err((format!("write `{key} = the_function`"), span)),
            }
            match tokens.next() {
                None => break,
                Some(TokenTree::Punct(sign)) if sign.as_char() == ',' => {}
                Some(other) => return Err(("a comma is missing here".into(), other.span())),
            }
        }
        Ok(lifecycle)
    }
}

/// Only a WebAssembly build has a host to export to. In a native build the function is there for its
/// unit tests, and the export only checks the types.
fn export(attribute: &str, handler: &Ident, lifecycle: &Lifecycle) -> TokenStream {
    let mut code = format!("::hive_guest::__export!({attribute}, {handler});");
    if lifecycle.start.is_some() || lifecycle.stop.is_some() {
        let named = |function: &Option<Ident>, otherwise: &str| {
            function.as_ref().map_or_else(
                || format!("::hive_guest::export::{otherwise}"),
                Ident::to_string,
            )
        };
        let start = named(&lifecycle.start, "nothing_to_start");
        let stop = named(&lifecycle.stop, "nothing_to_stop");
        code.push_str(&format!(
            "::hive_guest::__export!(lifecycle, {start}, {stop});"
        ));
    }
    respan(parse(&code), handler.span())
}

fn compile_error(attribute: &str, message: &str, span: Span) -> TokenStream {
    let text = format!("#[hive_guest::{attribute}]: {message}");
    respan(parse(&format!("::core::compile_error!({text:?});")), span)
}

fn parse(code: &str) -> TokenStream {
    code.parse().expect("the attribute writes Rust")
}

/// Makes the compiler show an error of the export at the function.
fn respan(tokens: TokenStream, span: Span) -> TokenStream {
    tokens
        .into_iter()
        .map(|mut token| {
            token.set_span(span.located_at(span));
            token
        })
        .collect()
}
