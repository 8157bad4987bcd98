//! Holds what a component exports and imports against what the host wants and has.

use hive_config::plan::ConsumerPlan;
use hive_core::codes::Code;
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::fault::Reason;

const HANDLER: &str = "hive:consumer/handler";
const BATCH_HANDLER: &str = "hive:consumer/batch-handler";
const CONTRACT_VERSION: &str = "0.1.";

/// The packages whose interfaces the host links. A `/` at the end stands for the whole package; with a version,
/// only that one is linked.
const LINKED_INTERFACES: &[&str] = &[
    "hive:consumer/requests",
    "wasi:blobstore/blobstore@0.2.0-draft",
    "wasi:blobstore/container@0.2.0-draft",
    "wasi:blobstore/types@0.2.0-draft",
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:config/store",
    "wasi:filesystem/",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/",
    "wasi:keyvalue/atomics@0.2.0-draft",
    "wasi:keyvalue/batch@0.2.0-draft",
    "wasi:keyvalue/store@0.2.0-draft",
    "wasi:random/",
    "wasi:sockets/",
];

/// Which handlers a component exports: one of them, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handlers {
    pub(crate) single: bool,
    pub(crate) batch: bool,
}

impl Handlers {
    /// Why a component with these handlers cannot serve `consumer`, if it cannot.
    pub(crate) fn misfit(self, consumer: &ConsumerPlan) -> Option<Reason> {
        let name = &consumer.name;
        let text = match (&consumer.batch, self) {
            (Some(_), Self { batch: false, .. }) => format!(
                "its consumer {name:?} has a `batch`, but it exports no {BATCH_HANDLER}; export that, \
                 or remove `batch` from the consumer"
            ),
            (None, Self { single: false, .. }) => format!(
                "it exports {BATCH_HANDLER} and no {HANDLER}, but its consumer {name:?} has no `batch`; \
                 add `batch = {{ size = …, wait = \"…\" }}` to the consumer, or export {HANDLER}"
            ),
            _ => return None,
        };
        Some(Reason::new(Code::HandlerMismatch, text))
    }
}

/// Which handlers a component exports, or every fault in what it exports and imports.
pub(crate) fn handlers(engine: &Engine, component: &Component) -> Result<Handlers, Vec<Reason>> {
    let kind = component.component_type();
    let exports: Vec<&str> = kind.exports(engine).map(|(name, _)| name).collect();
    let (handlers, mut faults) = match handlers_among(&exports) {
        Ok(handlers) => (Some(handlers), Vec::new()),
        Err(fault) => (None, vec![fault]),
    };
    for (name, import) in kind.imports(engine) {
        if !is_linked(name) && !only_types(engine, &import.ty) {
            let text = format!(
                "it imports {name:?}{}, which the host does not have; build it without that import",
                functions(engine, &import.ty)
            );
            faults.push(Reason::new(Code::UnknownImport, text));
        }
    }
    match handlers {
        Some(handlers) if faults.is_empty() => Ok(handlers),
        _ => Err(faults),
    }
}

/// The imports of a component, by name.
pub(crate) fn imports(engine: &Engine, component: &Component) -> Vec<String> {
    component
        .component_type()
        .imports(engine)
        .filter(|(_, import)| !only_types(engine, &import.ty))
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn handlers_among(exports: &[&str]) -> Result<Handlers, Reason> {
    let exports_one = |interface: &str| match exports.iter().find(|name| split(name).0 == interface)
    {
        None => Ok(false),
        Some(name) if split(name).1.starts_with(CONTRACT_VERSION) => Ok(true),
        Some(name) => {
            let text = format!(
                "it exports {name:?}, but this host speaks {interface}@0.1.x; build it against that version"
            );
            Err(Reason::new(Code::OtherContract, text))
        }
    };
    let handlers = Handlers {
        single: exports_one(HANDLER)?,
        batch: exports_one(BATCH_HANDLER)?,
    };
    if handlers.single || handlers.batch {
        return Ok(handlers);
    }
    let text = format!(
        "it exports no {HANDLER}@0.1.x and no {BATCH_HANDLER}@0.1.x, so it is not a consumer; it exports {}{}",
        list(exports),
        instead(exports)
    );
    Err(Reason::new(Code::NoHandler, text))
}

/// `interface@version` in its two parts.
fn split(name: &str) -> (&str, &str) {
    name.split_once('@').unwrap_or((name, ""))
}

fn is_linked(import: &str) -> bool {
    let (interface, _) = split(import);
    LINKED_INTERFACES.iter().any(|linked| {
        interface == *linked
            || import == *linked
            || (linked.ends_with('/') && interface.starts_with(linked))
    })
}

/// An interface of types alone needs nothing from the host.
fn only_types(engine: &Engine, item: &ComponentItem) -> bool {
    match item {
        ComponentItem::ComponentInstance(instance) => instance
            .exports(engine)
            .all(|(_, export)| matches!(export.ty, ComponentItem::Type(_))),
        _ => false,
    }
}

/// The functions of an imported interface, for a message.
fn functions(engine: &Engine, item: &ComponentItem) -> String {
    let ComponentItem::ComponentInstance(instance) = item else {
        return String::new();
    };
    let names: Vec<&str> = instance
        .exports(engine)
        .filter(|(_, export)| matches!(export.ty, ComponentItem::ComponentFunc(_)))
        .map(|(name, _)| name)
        .collect();
    if names.is_empty() {
        return String::new();
    }
    format!(" (for {})", list(&names))
}

/// How a component without a handler comes about.
fn instead(exports: &[&str]) -> &'static str {
    let is_program = exports.iter().any(|name| name.starts_with("wasi:cli/run"));
    match (is_program, exports.is_empty()) {
        (true, _) => {
            ": it is a program with a `main`. Make it a library (in Rust, `crate-type = [\"cdylib\"]`) whose handler \
             is exported with Hive's SDK"
        }
        (false, true) => {
            ": it may be a library whose function is not exported. Mark the handler as the SDK of its language has it, \
             as in `#[hive_guest::consumer]`"
        }
        (false, false) => "",
    }
}

fn list(names: &[&str]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    names
        .iter()
        .map(|name| format!("{name:?}"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_interfaces_named_are_linked() {
        assert!(is_linked("wasi:cli/environment@0.2.6"));
        assert!(is_linked("wasi:config/store@0.2.0-rc.1"));
        assert!(!is_linked("wasi:config/runtime@0.2.0-draft"));
        assert!(is_linked("wasi:keyvalue/store@0.2.0-draft"));
        assert!(!is_linked("wasi:keyvalue/store@0.2.0-draft2"));
        assert!(!is_linked("wasi:http/incoming-handler@0.2.0"));
        assert!(!is_linked("acme:billing/rates@1.0.0"));
    }

    #[test]
    fn either_handler_makes_a_consumer_and_a_near_version_is_named() {
        let of = |exports: &[&str]| handlers_among(exports);
        let (handler, batch) = (
            "hive:consumer/handler@0.1.7",
            "hive:consumer/batch-handler@0.1.0",
        );
        let found = |single, batch| Ok(Handlers { single, batch });
        assert_eq!(of(&[handler]), found(true, false));
        assert_eq!(of(&[batch]), found(false, true));
        assert_eq!(of(&[batch, handler]), found(true, true));
        let fault = of(&["hive:consumer/handler@0.2.0"]).unwrap_err().text;
        assert!(fault.contains("handler@0.2.0") && fault.contains("0.1.x"));
        let fault = of(&[handler, "hive:consumer/batch-handler@0.2.0"])
            .unwrap_err()
            .text;
        assert!(fault.contains("batch-handler@0.2.0") && fault.contains("0.1.x"));
        let fault = of(&["wasi:cli/run@0.2.6"]).unwrap_err();
        assert_eq!(fault.code, Code::NoHandler);
        let fault = fault.text;
        assert!(fault.contains("wasi:cli/run@0.2.6"));
        assert!(fault.contains("a program with a `main`"), "{fault}");
        let fault = of(&[]).unwrap_err().text;
        assert!(fault.contains("exports nothing: it may be"), "{fault}");
    }
}
