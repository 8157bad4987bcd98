//! The composition root: a plan in, a running host out.
//!
//! Everything is compiled, connected and declared before anything is consumed, so that a host that
//! cannot do its job says so before it has touched a message.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use crate::amqp::{Amqp, Connection};
use crate::config::plan::Plan;
use crate::guest::{Engine, EngineLimits, Slot};
use crate::lifecycle::Tasks;
use crate::pipeline::Pipeline;
use crate::pipeline::settle::Settler;
