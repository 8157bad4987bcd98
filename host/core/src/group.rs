//! The hosts of a group: what they say to one another, who is there, and which of them consumes which queue.

mod said;
mod table;
mod view;

pub use self::said::{Answer, ConsumerState, HostState, Member, Question, Said, Unreadable};
pub use self::table::Table;
pub use self::view::{QueueView, Report, queues};
