//! What can be known of an expression without a delivery: names that there are not, and types that do not go together.

use std::fmt;

use cel::Program;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo,
};
use hive_core::nearest;

use crate::fault::Fault;
use crate::json;
use crate::scope::Scope;
use crate::view::PROPERTIES;

/// The functions that expressions may call, by the names that people write.
const FUNCTIONS: [&str; 24] = [
    "bool",
    "bytes",
    "charAt",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "indexOf",
    "int",
    "join",
    json::FUNCTION,
    "lastIndexOf",
    "lowerAscii",
    "replace",
    "reverse",
    "size",
    "split",
    "startsWith",
    "string",
    "substring",
    "trim",
    "type",
    "uint",
    "upperAscii",
];

/// The types that `type(…)` is compared with.
const TYPES: [&str; 10] = [
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "type",
    "uint",
];

/// What is known of the type of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Any,
    Bool,
    Number,
    Text,
    Bytes,
    List,
    Map,
    Null,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "of any type",
            Self::Bool => "true or false",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Bytes => "bytes",
            Self::List => "a list",
            Self::Map => "a map",
            Self::Null => "null",
        })
    }
}

/// Checks a program that was compiled, and gives the type of its value.
pub(crate) fn check(program: &Program, scope: Scope<'_>) -> Result<Kind, Fault> {
    let mut checker = Checker {
        places: program.source_info(),
        bound: Vec::new(),
        scope,
    };
    checker.kind(program.expression())
}

struct Checker<'p> {
    places: &'p SourceInfo,
    /// The variables of the loops around.
    bound: Vec<&'p str>,
    scope: Scope<'p>,
}

impl<'p> Checker<'p> {
    fn kind(&mut self, at: &'p IdedExpr) -> Result<Kind, Fault> {
        match &at.expr {
            Expr::Literal(literal) => Ok(kind_of(literal)),
            Expr::Ident(name) => self.variable(name, at),
            Expr::Select(select) => self.select(select, at),
            Expr::Call(call) => self.call(call, at),
            Expr::Comprehension(through) => self.comprehension(through),
            Expr::List(list) => {
                self.all(&list.elements)?;
                Ok(Kind::List)
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.kind(&entry.key)?;
                        self.kind(&entry.value)?;
                    }
                }
                Ok(Kind::Map)
            }
            Expr::Struct(_) => Err(self.fault(at, "names a message type, and there are none")),
            Expr::Unspecified => Ok(Kind::Any),
        }
    }

    fn variable(&self, name: &str, at: &IdedExpr) -> Result<Kind, Fault> {
        if self.bound.contains(&name) || name.starts_with('@') {
            return Ok(Kind::Any);
        }
        let known = self.scope.variables();
        match name.trim_start_matches('.') {
            other if !known.contains(&other) && !TYPES.contains(&other) => {
                let advice = nearest::advice(other, known.iter().copied(), "there are");
                Err(self.fault(
                    at,
                    &format!("names {other:?}, which does not exist: {advice}"),
                ))
            }
            "headers" | "properties" | "path" => Ok(Kind::Map),
            "routing_key" | "exchange" | "queue" => Ok(Kind::Text),
            "attempt" => Ok(Kind::Number),
            "redelivered" => Ok(Kind::Bool),
            // The body, and the names of types.
            _ => Ok(Kind::Any),
        }
    }

    fn select(&mut self, select: &'p SelectExpr, at: &'p IdedExpr) -> Result<Kind, Fault> {
        let of = self.kind(&select.operand)?;
        let field = &select.field;
        let name = match &select.operand.expr {
            Expr::Ident(name) => Some(name.as_str()),
            _ => None,
        };
        let is_of_message = name == Some("properties") && !self.bound.contains(&"properties");
        if is_of_message && !PROPERTIES.contains(&field.as_str()) {
            let advice = nearest::advice(field, PROPERTIES, "the properties are");
            let message = format!("names the property {field:?}, which does not exist: {advice}");
            return Err(self.fault(at, &message));
        }
        if let (Some("path"), Scope::Request(captures)) = (name, self.scope)
            && !self.bound.contains(&"path")
            && !captures.contains(field)
        {
            let captures = captures.iter().map(String::as_str);
            let advice = nearest::advice(field, captures, "the path captures");
            let message = format!("names {field:?}, which the path does not capture: {advice}");
            return Err(self.fault(at, &message));
        }
        match (of, name) {
            (Kind::Any | Kind::Map, _) => Ok(self.tested(select)),
            (other, Some(name)) => Err(self.fault(
                at,
                &format!("looks for {field:?} in {name}, which is {other}"),
            )),
            (other, None) => Err(self.fault(at, &format!("looks for {field:?} in {other}"))),
        }
    }

    /// `has(a.b)` is a selection that only tests.
    fn tested(&self, select: &SelectExpr) -> Kind {
        match select.test {
            true => Kind::Bool,
            false => Kind::Any,
        }
    }

    fn call(&mut self, call: &'p CallExpr, at: &'p IdedExpr) -> Result<Kind, Fault> {
        if let Some(target) = &call.target {
            self.kind(target)?;
        }
        let kinds = self.all(&call.args)?;
        let name = call.func_name.as_str();
        match (name, &kinds[..]) {
            ("_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_", [left, right]) => {
                let never = |kind: &Kind| matches!(kind, Kind::Any | Kind::Null);
                if left != right && !never(left) && !never(right) {
                    let message = format!("compares {left} with {right}");
                    return Err(self.fault(at, &message));
                }
                Ok(Kind::Bool)
            }
            ("_&&_" | "_||_", sides) => {
                let other = sides
                    .iter()
                    .find(|kind| !matches!(kind, Kind::Bool | Kind::Any));
                match other {
                    Some(kind) => {
                        let message =
                            format!("joins {kind} with `&&` or `||`, which join conditions");
                        Err(self.fault(at, &message))
                    }
                    None => Ok(Kind::Bool),
                }
            }
            ("!_" | "@in" | "@not_strictly_false", _) => Ok(Kind::Bool),
            ("_?_:_", [_, yes, no]) => Ok(if yes == no { *yes } else { Kind::Any }),
            ("_+_", [left, right]) if left == right => Ok(*left),
            ("_-_" | "_*_" | "_/_" | "_%_" | "-_", _) => Ok(Kind::Number),
            ("_+_" | "_[_]", _) => Ok(Kind::Any),
            ("contains" | "startsWith" | "endsWith" | "bool", _) => Ok(Kind::Bool),
            ("size" | "int" | "uint" | "double" | "indexOf" | "lastIndexOf", _) => Ok(Kind::Number),
            (
                "string"
                | json::FUNCTION
                | "join"
                | "lowerAscii"
                | "upperAscii"
                | "replace"
                | "substring"
                | "trim"
                | "charAt",
                _,
            ) => Ok(Kind::Text),
            ("bytes", _) => Ok(Kind::Bytes),
            ("split", _) => Ok(Kind::List),
            _ if FUNCTIONS.contains(&name) => Ok(Kind::Any),
            _ => {
                let advice = nearest::advice(name, FUNCTIONS, "the functions are");
                Err(self.fault(
                    at,
                    &format!("calls {name:?}, which does not exist: {advice}"),
                ))
            }
        }
    }

    fn comprehension(&mut self, through: &'p ComprehensionExpr) -> Result<Kind, Fault> {
        self.kind(&through.iter_range)?;
        let before = self.bound.len();
        self.bound.push(&through.iter_var);
        self.bound.extend(through.iter_var2.as_deref());
        self.bound.push(&through.accu_var);
        let begun = self.kind(&through.accu_init)?;
        self.kind(&through.loop_cond)?;
        self.kind(&through.loop_step)?;
        let result = self.kind(&through.result)?;
        self.bound.truncate(before);
        Ok(if result == Kind::Any { begun } else { result })
    }

    fn all(&mut self, expressions: &'p [IdedExpr]) -> Result<Vec<Kind>, Fault> {
        expressions.iter().map(|one| self.kind(one)).collect()
    }

    fn fault(&self, at: &IdedExpr, message: &str) -> Fault {
        let place = self.places.offset_for(at.id);
        let column = place.and_then(|(start, _)| usize::try_from(start).ok());
        Fault::new(message, column.map(|start| start + 1))
    }
}

fn kind_of(literal: &LiteralValue) -> Kind {
    match literal {
        LiteralValue::Boolean(_) => Kind::Bool,
        LiteralValue::Bytes(_) => Kind::Bytes,
        LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => Kind::Number,
        LiteralValue::Null => Kind::Null,
        LiteralValue::String(_) => Kind::Text,
    }
}
