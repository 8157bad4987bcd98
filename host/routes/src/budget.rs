//! What one evaluation may cost. CEL has no endless loops, and yet a short expression can take hours over one message
//! (lists within lists) or fill the memory (a text that is doubled again and again).
//!
//! The `cel` crate has no limit on that, so a compiled expression is rewritten: wherever values are gone through,
//! copied or put together, a call of [`PAID`] stands around them, which takes what they weigh from the budget before
//! the work is done. Outside of loops only what can grow is paid for: everything else goes through the message once.

use std::cell::Cell;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::common::types::{CelBytes, CelInt, CelList, CelMap, CelString, DYN_TYPE, INT_TYPE};
use cel::common::types::{LIST_TYPE, STRING_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

/// The most units that one evaluation may take: about a tenth of a second on the machine of docs/performance.md.
pub(crate) const MOST: u64 = 1_000_000;

/// The bytes of a text that make one unit.
const BYTES_A_UNIT: u64 = 64;

/// Gives its first argument back, and takes its weight from the budget, and the second argument for each element of it.
/// No name in CEL begins with `@`.
const PAID: &str = "@paid";
/// `replace` and `join` multiply one length by another, so they look before they begin.
const REPLACE: &str = "@replace";
const JOIN: &str = "@join";

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(MOST) };
    static IS_SPENT: Cell<bool> = const { Cell::new(false) };
}

/// A new budget for one evaluation on this thread.
pub(crate) fn begin() {
    LEFT.set(MOST);
    IS_SPENT.set(false);
}

/// Whether the evaluation wanted more than there was. `true || …` swallows errors, so this is asked for itself.
pub(crate) fn is_spent() -> bool {
    IS_SPENT.get()
}

/// Takes what a value weighs.
pub(crate) fn pay_for(value: &dyn Val) -> Result<(), ExecutionError> {
    take(weight(value))
}

/// Adds the functions that rewritten expressions call.
pub(crate) fn declare(environment: &mut Env) -> Result<(), DeclarationError> {
    environment.add_overload(PAID, PAID, vec![DYN_TYPE, INT_TYPE], paid)?;
    let texts = vec![STRING_TYPE, STRING_TYPE];
    environment.add_member_overload(REPLACE, REPLACE, STRING_TYPE, texts, replace)?;
    environment.add_member_overload(JOIN, JOIN, LIST_TYPE, vec![STRING_TYPE], join)
}

fn take(units: u64) -> Result<(), ExecutionError> {
    match LEFT.get().checked_sub(units) {
        Some(left) => {
            LEFT.set(left);
            Ok(())
        }
        None => {
            LEFT.set(0);
            IS_SPENT.set(true);
            Err(ExecutionError::function_error(PAID, "the budget is spent"))
        }
    }
}

fn paid<'b, 'v>(mut arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let each = arguments.pop();
    let value = arguments
        .pop()
        .ok_or(ExecutionError::MissingArgumentOrTarget)?;
    let each = each.as_ref().and_then(|each| each.downcast_ref::<CelInt>());
    let each = each.map_or(0, |each| u64::try_from(*each.inner()).unwrap_or_default());
    take(weight(value.as_ref()).saturating_add(elements(value.as_ref()).saturating_mul(each)))?;
    Ok(value)
}

/// What it takes to copy a value, or to compare it with another.
fn weight(value: &dyn Val) -> u64 {
    if let Some(list) = value.downcast_ref::<CelList>() {
        let elements = list.inner().iter();
        1 + elements.map(|one| weight(&**one)).sum::<u64>()
    } else if let Some(map) = value.downcast_ref::<CelMap>() {
        let entries = map.inner().values();
        1 + entries.map(|one| 1 + weight(&**one)).sum::<u64>()
    } else {
        1 + length(value) / BYTES_A_UNIT
    }
}

/// The bytes of a text.
fn length(value: &dyn Val) -> u64 {
    let text = value.downcast_ref::<CelString>();
    let text = text.map(|text| text.inner().len());
    let bytes = || {
        value
            .downcast_ref::<CelBytes>()
            .map(|bytes| bytes.inner().len())
    };
    text.or_else(bytes).unwrap_or_default() as u64
}

/// How often a loop over this goes round.
fn elements(value: &dyn Val) -> u64 {
    let list = value.downcast_ref::<CelList>();
    let list = list.map(|list| list.inner().len());
    let map = || value.downcast_ref::<CelMap>().map(|map| map.inner().len());
    list.or_else(map).unwrap_or_default() as u64
}

fn text<'a>(value: &'a CowVal<'_, '_>) -> Result<&'a str, ExecutionError> {
    let text = value.downcast_ref::<CelString>();
    let text = text.map(|text| text.inner());
    text.ok_or_else(|| ExecutionError::UnexpectedType {
        got: value.get_type().name().to_owned(),
        want: "string".to_owned(),
    })
}

/// `TEXT.replace(OLD, NEW)`.
fn replace<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [of, old, new] = &arguments[..] else {
        return Err(ExecutionError::MissingArgumentOrTarget);
    };
    let (of, old, new) = (text(of)?, text(old)?, text(new)?);
    // At worst each byte is one that is replaced.
    let places = 1 + of.len() as u64 / old.len().max(1) as u64;
    let written = of.len() as u64 + places.saturating_mul(new.len() as u64);
    take(1 + written / BYTES_A_UNIT)?;
    Ok(CowVal::owned(CelString::from(of.replace(old, new))))
}

/// `LIST.join(SEPARATOR)`.
fn join<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [list, separator] = &arguments[..] else {
        return Err(ExecutionError::MissingArgumentOrTarget);
    };
    let separator = text(separator)?;
    let written = elements(list.as_ref()).saturating_mul(separator.len() as u64);
    take(weight(list.as_ref()).saturating_add(written / BYTES_A_UNIT))?;
    let list = list.downcast_ref::<CelList>();
    let list = list.ok_or(ExecutionError::MissingArgumentOrTarget)?;
    let texts = list.inner().iter().map(|one| {
        let text = one.downcast_ref::<CelString>();
        text.map(|text| text.inner())
            .ok_or_else(|| ExecutionError::UnexpectedType {
                got: one.get_type().name().to_owned(),
                want: "string".to_owned(),
            })
    });
    let texts = texts.collect::<Result<Vec<_>, _>>()?;
    Ok(CowVal::owned(CelString::from(texts.join(separator))))
}

/// Puts the payments into an expression.
pub(crate) fn rewrite(expression: &mut IdedExpr) {
    Rewriting::default().expression(expression, false);
}

#[derive(Default)]
struct Rewriting {
    /// The variables in which loops gather their results.
    gathered: Vec<String>,
}

impl Rewriting {
    fn expression(&mut self, at: &mut IdedExpr, in_loop: bool) {
        match &mut at.expr {
            // There are no message types.
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => {}
            Expr::Select(select) => self.expression(&mut select.operand, in_loop),
            Expr::Call(call) => self.call(call, in_loop),
            Expr::List(list) => {
                for element in &mut list.elements {
                    self.expression(element, in_loop);
                    pay(element, 0);
                }
            }
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        for part in [&mut entry.key, &mut entry.value] {
                            self.expression(part, in_loop);
                            pay(part, 0);
                        }
                    }
                }
            }
            Expr::Comprehension(through) => {
                self.expression(&mut through.iter_range, in_loop);
                let each = nodes(&through.loop_step);
                pay(&mut through.iter_range, each);
                self.gathered.push(through.accu_var.clone());
                self.expression(&mut through.loop_step, true);
                self.gathered.pop();
            }
        }
    }

    fn call(&mut self, call: &mut CallExpr, in_loop: bool) {
        for part in parts(call) {
            self.expression(part, in_loop);
        }
        match call.func_name.as_str() {
            "replace" => REPLACE.clone_into(&mut call.func_name),
            "join" => {
                JOIN.clone_into(&mut call.func_name);
                if call.args.is_empty() {
                    let none = LiteralValue::String(CelString::from(""));
                    call.args.push(made(Expr::Literal(none)));
                }
            }
            // What a loop adds to its result is an element of a list, and paid for there.
            operators::ADD if self.gathers(&call.args) => {}
            operators::ADD => parts(call).for_each(|part| pay(part, 0)),
            name if in_loop && !takes_no_time(name) => parts(call).for_each(|part| pay(part, 0)),
            _ => {}
        }
    }

    fn gathers(&self, arguments: &[IdedExpr]) -> bool {
        let first = arguments.first().map(|first| &first.expr);
        matches!(first, Some(Expr::Ident(name)) if self.gathered.contains(name))
    }
}

/// What a call is made with.
fn parts(call: &mut CallExpr) -> impl Iterator<Item = &mut IdedExpr> {
    let target = call.target.as_deref_mut().into_iter();
    target.chain(&mut call.args)
}

/// Whether a call takes the same time whatever its arguments are.
fn takes_no_time(name: &str) -> bool {
    matches!(
        name,
        operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | operators::CONDITIONAL
            | operators::INDEX
            | operators::SUBSTRACT
            | operators::MULTIPLY
            | operators::DIVIDE
            | operators::MODULO
            | operators::NEGATE
            | operators::NOT_STRICTLY_FALSE
            | "size"
            | "type"
    )
}

/// Puts a payment around a value.
fn pay(value: &mut IdedExpr, each: i64) {
    if matches!(value.expr, Expr::Literal(_)) {
        return;
    }
    let each = made(Expr::Literal(LiteralValue::Int(CelInt::from(each))));
    let id = value.id;
    let args = vec![std::mem::take(value), each];
    *value = IdedExpr {
        id,
        expr: Expr::Call(CallExpr {
            func_name: PAID.to_owned(),
            target: None,
            args,
        }),
    };
}

/// A part that nobody has written.
fn made(expr: Expr) -> IdedExpr {
    IdedExpr { id: 0, expr }
}

/// How many parts an expression has: each takes its time each time that a loop goes round.
fn nodes(at: &IdedExpr) -> i64 {
    let all = |parts: &[IdedExpr]| parts.iter().map(nodes).sum::<i64>();
    1 + match &at.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => 0,
        Expr::Select(select) => nodes(&select.operand),
        Expr::Call(call) => call.target.as_deref().map_or(0, nodes) + all(&call.args),
        Expr::List(list) => all(&list.elements),
        Expr::Map(map) => {
            let entries = map.entries.iter().map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => nodes(&entry.key) + nodes(&entry.value),
                EntryExpr::StructField(_) => 0,
            });
            entries.sum()
        }
        // Its own rounds are paid for each time.
        Expr::Comprehension(through) => nodes(&through.iter_range) + 1,
    }
}
