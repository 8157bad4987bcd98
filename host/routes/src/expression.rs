//! One expression: compiled and checked when hive.toml is read, evaluated for each delivery.

use std::sync::{Arc, LazyLock};

use cel::parser::Expression as Parsed;
use cel::{Context, Env, ExecutionError, Value, extensions};

use crate::budget;
use crate::check::{self, Kind};
use crate::fault::{Failure, Fault, Why};
use crate::json;
use crate::scope::{Scope, Sight};

/// The longest expression, in bytes. The parser has its own limit for nesting.
const LONGEST: usize = 4096;

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut environment = Env::stdlib().with_optional_support(false);
    environment
        .add_extension(extensions::strings)
        .expect("nothing else is named as the functions of texts");
    budget::declare(&mut environment).expect("no name in CEL begins with @");
    json::declare(&mut environment).expect("nothing else is named so");
    Arc::new(environment)
});

/// A compiled expression.
#[derive(Debug, PartialEq)]
pub struct Expression {
    source: String,
    parsed: Parsed,
    known: Option<Known>,
}

/// The value of a condition that depends on no delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It holds for each.
    Always,
    /// It holds for none.
    Never,
}

impl Expression {
    /// Compiles an expression of any type.
    pub(crate) fn compile(source: &str, scope: Scope<'_>) -> Result<Self, Fault> {
        Self::checked(source, scope).map(|(expression, _)| expression)
    }

    /// Compiles a condition about deliveries.
    pub fn condition(source: &str) -> Result<Self, Fault> {
        let (mut condition, kind) = Self::checked(source, Scope::Delivery)?;
        if !matches!(kind, Kind::Bool | Kind::Any) {
            let message = format!("is {kind}, and not true or false: compare it with something");
            return Err(Fault::new(message, None));
        }
        if condition.parsed.references().variables().is_empty() {
            let value = condition.value(&Context::with_env(Arc::clone(&ENVIRONMENT)));
            condition.known = match value {
                Ok(Value::Bool(true)) => Some(Known::Always),
                Ok(Value::Bool(false)) => Some(Known::Never),
                _ => None,
            };
        }
        Ok(condition)
    }

    fn checked(source: &str, scope: Scope<'_>) -> Result<(Self, Kind), Fault> {
        if source.len() > LONGEST {
            let message = format!("is longer than {LONGEST} bytes");
            return Err(Fault::new(message, None));
        }
        let program = ENVIRONMENT
            .compile(source)
            .map_err(|errors| no_cel(source, &errors))?;
        let kind = check::check(&program, scope)?;
        let mut parsed = program.expression().clone();
        budget::rewrite(&mut parsed);
        let expression = Self {
            source: source.to_owned(),
            parsed,
            known: None,
        };
        Ok((expression, kind))
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether both are written in the same way, apart from spaces.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        self.parsed == other.parsed
    }

    /// Whether a condition is the same for each delivery.
    pub fn known(&self) -> Option<Known> {
        self.known
    }

    /// Whether a condition holds. One that asks for something that the message does not have does not.
    pub fn holds(&self, view: &dyn Sight) -> Result<bool, Failure> {
        match self.evaluate(view) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => {
                let kind = other.type_of();
                Err(self.failure(Why::Other(format!("is {kind}, and not true or false"))))
            }
            Err(Failure {
                why: Why::Missing(_),
                ..
            }) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Its value.
    pub(crate) fn evaluate(&self, view: &dyn Sight) -> Result<Value, Failure> {
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        context.set_variable_resolver(view);
        self.value(&context)
            .map_err(|error| self.failure(error.map_or(Why::TooMuch, |error| why(error, view))))
    }

    /// Its value; without an error if that takes too much.
    fn value(&self, context: &Context<'_, '_>) -> Result<Value, Option<ExecutionError>> {
        budget::begin();
        let value = Value::resolve(&self.parsed, context);
        match budget::is_spent() {
            true => Err(None),
            false => value.map_err(Some),
        }
    }

    pub(crate) fn failure(&self, why: Why) -> Failure {
        Failure {
            expression: self.source.clone(),
            why,
        }
    }
}

/// The words of the library show whole values, which may be long, and secret.
fn why(error: ExecutionError, view: &dyn Sight) -> Why {
    match error {
        ExecutionError::NoSuchKey(key) => Why::Missing(format!("{key:?}")),
        ExecutionError::IndexOutOfBounds(_) => Why::Missing("element of this number".to_owned()),
        ExecutionError::UndeclaredReference(name) => match view.fault_of_body() {
            Some(fault) if *name == "body" => Why::Body(fault.to_owned()),
            _ => Why::Missing(format!("{name:?}")),
        },
        // A field of null: as JSON has it, there is nothing.
        ExecutionError::NoSuchOverload(error)
            if error
                .argument_types()
                .first()
                .is_some_and(|of| of == "null_type")
                && error.function() == "_._" =>
        {
            Why::Missing("field of null".to_owned())
        }
        ExecutionError::NoSuchOverload(error) => Why::Other(error.to_string()),
        ExecutionError::UnexpectedType { got, want } => {
            Why::Other(format!("is of the type {got}, and not {want}"))
        }
        ExecutionError::ValuesNotComparable(one, other) => {
            let (one, other) = (one.type_of(), other.type_of());
            Why::Other(format!("{one} cannot be compared with {other}"))
        }
        ExecutionError::UnsupportedBinaryOperator(operator, one, other) => {
            let (one, other) = (one.type_of(), other.type_of());
            Why::Other(format!("{operator} has no meaning for {one} and {other}"))
        }
        ExecutionError::UnsupportedIndex(index, of) => {
            let (index, of) = (index.type_of(), of.type_of());
            Why::Other(format!("{of} has no elements by {index}"))
        }
        ExecutionError::UnsupportedKeyType(key) => {
            Why::Other(format!("{} cannot be a key", key.type_of()))
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            Why::Other("divides by zero".to_owned())
        }
        ExecutionError::Overflow(..) => Why::Other("the number is too large".to_owned()),
        ExecutionError::FunctionError { function, .. } => {
            Why::Other(format!("{function} cannot take this value"))
        }
        ExecutionError::UnsupportedTargetType { target }
        | ExecutionError::NotSupportedAsMethod { target, .. } => {
            Why::Other(format!("{} has no such function", target.type_of()))
        }
        _ => Why::Other("cannot be evaluated for this message".to_owned()),
    }
}

/// The words of the parser list all that could stand there.
fn no_cel(source: &str, errors: &cel::ParseErrors) -> Fault {
    if source.trim().is_empty() {
        return Fault::new("is empty", None);
    }
    let column = errors.errors.first().map(|first| first.pos.1);
    let column = column.and_then(|column| usize::try_from(column).ok());
    let column = column.filter(|column| *column > 0);
    let rest = column.map(|column| source.chars().skip(column - 1).collect::<String>());
    let message = match rest.as_deref().map(str::trim_start) {
        Some("") => "ends too early",
        Some(rest) if rest.starts_with('=') && !rest.starts_with("==") => {
            "has a `=`; values are compared with `==`"
        }
        _ => "is not an expression of CEL",
    };
    Fault::new(message, column)
}
