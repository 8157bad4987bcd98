//! The routes of a consumer: the first whose condition holds says what becomes of a delivery.

use std::time::Duration;

use hive_core::message::{Envelope, FieldValue, Message, Publication, Retry};
use hive_core::policy::Outcome;

use crate::expression::{Expression, Known};
use crate::fault::Failure;
use crate::template::Template;
use crate::view::View;

/// All of a consumer's routes.
#[derive(Debug, PartialEq)]
pub struct Routes {
    /// In the order of hive.toml.
    pub routes: Vec<Route>,
    /// For a delivery for which no condition holds.
    pub otherwise: Answer,
}

/// One route.
#[derive(Debug, PartialEq)]
pub struct Route {
    /// When it is taken; each time without a condition.
    pub when: Option<Expression>,
    /// What becomes of the delivery.
    pub answer: Answer,
}

/// What a route says.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// Done.
    Ack,
    /// Publish this, and done once the broker has confirmed it.
    Publish(Box<Publish>),
    /// It can never be handled, for this reason.
    Reject(Template),
    /// Not now, for this reason.
    Retry(Template, Option<Duration>),
}

/// A publication: the message as it came, but for what is named here.
#[derive(Debug, PartialEq)]
pub struct Publish {
    /// The exchange.
    pub exchange: Template,
    /// The routing key; that of the message without.
    pub routing_key: Option<Template>,
    /// The body.
    pub body: Option<Template>,
    /// The content type.
    pub content_type: Option<Template>,
    /// Headers that are added, or that replace those of the same name.
    pub headers: Vec<(String, Template)>,
    /// Publish it this much later.
    pub delay: Option<Duration>,
}

/// Why no delivery reaches a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreached {
    /// Its condition holds for none.
    Never,
    /// The route of this number takes every delivery.
    Behind(usize),
    /// The route of this number has the same condition.
    Twin(usize),
}

impl Routes {
    /// What its routes publish, and then what `otherwise` does.
    pub fn publications(&self) -> impl Iterator<Item = &Publish> {
        let routed = self.routes.iter().map(|route| &route.answer);
        let answers = routed.chain([&self.otherwise]);
        answers.filter_map(|answer| match answer {
            Answer::Publish(publish) => Some(&**publish),
            _ => None,
        })
    }

    /// The routes that no delivery reaches, by their numbers from 0.
    pub fn unreached(&self) -> Vec<(usize, Unreached)> {
        let all = self.takes_all();
        let routes = self.routes.iter().enumerate();
        let why = |number: usize, route: &Route| {
            let twin = || {
                let when = route.when.as_ref()?;
                let mut before = self.routes[..number].iter();
                before.position(|other| other.when.as_ref().is_some_and(|one| one.is_as(when)))
            };
            match all {
                Some(all) if all < number => Some(Unreached::Behind(all)),
                _ if route.known() == Some(Known::Never) => Some(Unreached::Never),
                _ => twin().map(Unreached::Twin),
            }
        };
        routes
            .filter_map(|(number, route)| Some((number, why(number, route)?)))
            .collect()
    }

    /// The first route that takes every delivery, by its number from 0.
    pub fn takes_all(&self) -> Option<usize> {
        let always = |route: &Route| route.known() == Some(Known::Always);
        self.routes.iter().position(always)
    }

    /// What becomes of a delivery. One that an expression cannot be evaluated for is rejected, since the next attempt
    /// would end in the same way.
    pub fn answer(&self, envelope: &Envelope) -> Outcome {
        self.decide(&View::of(envelope))
    }

    /// The same for a delivery of which parts may have been looked at.
    pub fn decide(&self, view: &View<'_>) -> Outcome {
        for (number, route) in self.routes.iter().enumerate() {
            let holds = route
                .when
                .as_ref()
                .map_or(Ok(true), |when| when.holds(view));
            let taken = match holds {
                Ok(true) => route.answer.outcome(view),
                Ok(false) => continue,
                Err(failure) => Err(failure),
            };
            return taken.unwrap_or_else(|failure| {
                Outcome::Rejected(format!("routes[{number}]: {failure}"))
            });
        }
        let outcome = self.otherwise.outcome(view);
        outcome.unwrap_or_else(|failure| Outcome::Rejected(format!("otherwise: {failure}")))
    }
}

impl Route {
    fn known(&self) -> Option<Known> {
        let when = self.when.as_ref();
        when.map_or(Some(Known::Always), Expression::known)
    }
}

impl Answer {
    fn outcome(&self, view: &View<'_>) -> Result<Outcome, Failure> {
        Ok(match self {
            Self::Ack => Outcome::Handled(Vec::new()),
            Self::Publish(publish) => Outcome::Handled(vec![publish.publication(view)?]),
            Self::Reject(reason) => Outcome::Rejected(reason.text(view)?),
            Self::Retry(reason, delay) => Outcome::RetryAsked(Retry {
                reason: reason.text(view)?,
                delay: *delay,
            }),
        })
    }
}

impl Publish {
    fn publication(&self, view: &View<'_>) -> Result<Publication, Failure> {
        let envelope = view.envelope();
        let Message { properties, body } = &envelope.message;
        let mut properties = properties.clone();
        for (name, template) in &self.headers {
            let value = FieldValue::Text(template.text(view)?);
            match properties
                .headers
                .iter_mut()
                .find(|(known, _)| known == name)
            {
                Some((_, known)) => *known = value,
                None => properties.headers.push((name.clone(), value)),
            }
        }
        if let Some(content_type) = &self.content_type {
            properties.content_type = Some(content_type.text(view)?);
        }
        // The broker takes it from the user who publishes alone.
        properties.user_id = None;
        let body = match &self.body {
            Some(template) => template.text(view)?.into(),
            None => body.clone(),
        };
        Ok(Publication {
            exchange: self.exchange.text(view)?,
            routing_key: match &self.routing_key {
                Some(template) => template.text(view)?,
                None => envelope.routing_key.clone(),
            },
            message: Message { properties, body },
            mandatory: true,
            delay: self.delay,
        })
    }
}
