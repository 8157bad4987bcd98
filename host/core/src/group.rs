//! The hosts of a group: what they say to one another, who is there, and which of them consumes which queue.

mod said;
mod seal;
mod step;
mod table;
mod view;

pub use self::said::{Answer, ConsumerState, HostState, Member, Question, Said, Unreadable};
pub use self::seal::{Exchange, Key, Kind, Sealed};
pub use self::step::{CodeSource, PART, Reply, Step, Told, Wanted};
pub use self::table::Table;
pub use self::view::{QueueView, Report, queues};
