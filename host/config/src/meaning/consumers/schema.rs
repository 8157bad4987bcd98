//! `[consumers.NAME.schema]`: what bodies have to be like.

use std::sync::Arc;

use hive_contracts::{Contract, NoSchema, PublicationSchema, Schema};
use hive_core::codes::Code;

use crate::files;
use crate::keys::{Name, SchemaKeys};
use crate::meaning::{Context, allow};
use crate::plan::{ConsumerPlan, PublishGrant};
use crate::written::Node;

/// The contract of the consumer at `node`, if it has one.
pub(super) fn contract(context: &mut Context<'_>, node: &Node) -> Option<Arc<Contract>> {
    let table = node.get(ConsumerPlan::schema)?;
    let body = SchemaKeys::body.at(Some(table));
    let body = body.and_then(|at| schema(context, at));
    let publications = table.named(SchemaKeys::publications);
    let publications: Vec<_> = publications
        .iter()
        .filter_map(|(pattern, at)| publication(context, pattern, at))
        .collect();
    let decode = SchemaKeys::decode.value(Some(table));
    check_effect(context, table, decode);
    Some(Arc::new(Contract {
        body,
        decode,
        max_decoded: usize::try_from(SchemaKeys::max_decoded.value(Some(table)))
            .unwrap_or(usize::MAX),
        publications,
    }))
}

fn publication(context: &mut Context<'_>, pattern: &str, at: &Node) -> Option<PublicationSchema> {
    let named = allow::publications(context, at, pattern);
    let schema = schema(context, at);
    let PublishGrant {
        exchange,
        routing_key,
    } = named?;
    Some(PublicationSchema {
        exchange,
        routing_key,
        schema: schema?,
    })
}

/// The schema in the file that is named at `at`.
fn schema(context: &mut Context<'_>, at: &Node) -> Option<Schema> {
    let path = context.base(at).join(at.as_text()?);
    match Schema::read(&path, files::read) {
        Ok(schema) => Some(schema),
        Err(fault) => {
            let remedy = match fault {
                NoSchema::Unreadable(_) => {
                    "name a file that can be read, relative to the file that names it"
                }
                NoSchema::NoJson(_) | NoSchema::Faulty(_) => {
                    "https://json-schema.org has the form; docs/contracts.md says which references are followed"
                }
            };
            let message = fault.to_string();
            context.faults.error(Code::BadSchema, at, message, remedy);
            None
        }
    }
}

/// Reports what does nothing.
fn check_effect(context: &mut Context<'_>, table: &Node, decode: bool) {
    let is_set = |key: Name<()>| table.get(key).is_some();
    let has_publications = is_set(SchemaKeys::publications.untyped());
    let is_faulty = table.get(SchemaKeys::decode).is_some_and(Node::is_faulty);
    match table.get(SchemaKeys::max_decoded) {
        Some(at) if !decode && !is_faulty && !has_publications => {
            let message = "only applies together with `decode` or `publications`";
            let remedy = "add `decode = true`, or remove the key";
            context.faults.error(Code::NoEffect, at, message, remedy);
        }
        None if table.is_table()
            && !has_publications
            && !is_set(SchemaKeys::body.untyped())
            && !is_set(SchemaKeys::decode.untyped()) =>
        {
            let message = "asks for nothing";
            let remedy = "name a `body`, `decode` or `publications`, or remove the table";
            context.faults.error(Code::NoEffect, table, message, remedy);
        }
        _ => {}
    }
}
