//! One expression: compiled and checked when hive.toml is read, evaluated for each delivery.

use std::sync::{Arc, LazyLock};

use cel::{Context, Env, ExecutionError, Program, Value, extensions};

use crate::check::{self, Kind};
use crate::fault::{Failure, Fault};
use crate::view::View;

/// The longest expression, in bytes.
const LONGEST: usize = 4096;

/// How many elements an expression may go through for one delivery. What goes through the elements of lists within
/// lists would otherwise hold a worker for minutes over one large body.
const MOST_STEPS: usize = 100_000;

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut environment = Env::default().with_optional_support(false).with_stdlib();
    environment
        .add_extension(extensions::strings)
        .expect("nothing else is named as the functions of texts");
    Arc::new(environment)
});

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    source: String,
    program: Program,
    /// How deep it goes through lists within lists.
    depth: u32,
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
    pub fn compile(source: &str) -> Result<Self, Fault> {
        Self::checked(source).map(|(expression, _)| expression)
    }

    /// Compiles a condition.
    pub fn condition(source: &str) -> Result<Self, Fault> {
        let (mut condition, kind) = Self::checked(source)?;
        if !matches!(kind, Kind::Bool | Kind::Any) {
            let message = format!("is {kind}, and not true or false: compare it with something");
            return Err(Fault::new(message, None));
        }
        if condition.program.references().variables().is_empty() {
            let context = Context::with_env(Arc::clone(&ENVIRONMENT));
            condition.known = match condition.program.execute(&context) {
                Ok(Value::Bool(true)) => Some(Known::Always),
                Ok(Value::Bool(false)) => Some(Known::Never),
                _ => None,
            };
        }
        Ok(condition)
    }

    fn checked(source: &str) -> Result<(Self, Kind), Fault> {
        if source.len() > LONGEST {
            let message = format!("is longer than {LONGEST} bytes");
            return Err(Fault::new(message, None));
        }
        let program = ENVIRONMENT
            .compile(source)
            .map_err(|errors| no_cel(&errors))?;
        let found = check::check(&program)?;
        let expression = Self {
            source: source.to_owned(),
            program,
            depth: found.depth,
            known: None,
        };
        Ok((expression, found.kind))
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether a condition is the same for each delivery.
    pub fn known(&self) -> Option<Known> {
        self.known
    }

    /// Whether a condition holds. One that asks for something that the message does not have does not.
    pub fn holds(&self, view: &View<'_>) -> Result<bool, Failure> {
        match self.evaluate(view) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(other) => {
                let kind = other.type_of();
                Err(Failure::Other(format!(
                    "{:?} is {kind}, and not true or false",
                    self.source
                )))
            }
            Err(Failure::Missing(_)) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Its value.
    pub(crate) fn evaluate(&self, view: &View<'_>) -> Result<Value, Failure> {
        if self.depth > 0 {
            let steps = view.longest().saturating_pow(self.depth);
            if steps > MOST_STEPS {
                return Err(Failure::TooMuch(format!(
                    "{:?} would go through up to {steps} elements of this message, and {MOST_STEPS} are the most",
                    self.source
                )));
            }
        }
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        context.set_variable_resolver(view);
        self.program
            .execute(&context)
            .map_err(|error| self.failure(error, view))
    }

    fn failure(&self, error: ExecutionError, view: &View<'_>) -> Failure {
        match error {
            ExecutionError::NoSuchKey(key) => Failure::Missing(key.to_string()),
            ExecutionError::UndeclaredReference(name) if *name == "body" => view
                .failure_of_body()
                .unwrap_or(Failure::Missing("body".to_owned())),
            error => Failure::Other(format!("{:?}: {error}", self.source)),
        }
    }
}

fn no_cel(errors: &cel::ParseErrors) -> Fault {
    let Some(first) = errors.errors.first() else {
        return Fault::new("is no CEL", None);
    };
    let (_, column) = first.pos;
    let column = usize::try_from(column).ok().filter(|column| *column > 0);
    Fault::new(format!("is no CEL: {}", first.msg), column)
}
