//! The host's decisions, without its effects: messages, outcomes, and every decision that needs no socket, no
//! clock of its own and no task. It compiles and is tested in seconds.

pub mod body;
pub mod message;
pub mod message_key;
pub mod policy;

pub mod answer;
pub mod by_key;
pub mod canary;
pub mod codes;
pub mod dead;
pub mod group;
pub mod holding;
pub mod placement;
pub mod rate;
pub mod scaling;
pub mod shadow;
pub mod trace;
pub mod version;

pub mod difference;
pub mod escape;
pub mod glob;
pub mod json;
pub mod moments;
pub mod nearest;
pub mod pauses;
pub mod recent;
