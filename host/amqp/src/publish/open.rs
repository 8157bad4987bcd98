//! The channel of a publisher: [`Open`].

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;

use lapin::Channel;
use lapin::options::ConfirmSelectOptions;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::broken::Broken;
use crate::message::answered::Answered;
use crate::session::SharedSession;
use crate::session::limits::{AskFault, ask, leave_at_its_end};
use crate::session::seats::Seat;
use crate::wire::arrivals::Taker;
use crate::wire::endings::End;
use crate::wire::posts::Poster;

/// A channel in confirm mode. lapin opens and closes it; what is published goes past lapin, and so do the answers.
pub(super) struct Open {
    // Dropped first: behind lapin's close nothing may be written.
    poster: Poster,
    channel: Channel,
    end: Arc<End>,
    answers: Taker<Answered>,
    seat: Seat,
    _settling_up: TaskTrackerToken,
}

/// What happens on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// There are answers.
    Answered,
    /// Nothing more comes. There may be answers that came before.
    Over,
}

impl Open {
    /// Opens one on the session of a seat.
    pub(super) async fn on(seat: Seat) -> Result<Self, AskFault> {
        let session = seat.session();
        let channel = session.channel().await?;
        // From its opening on, so that no end of it is missed.
        let (end, answers) = session.endings().watch_publishing(channel.id());
        ask(channel.confirm_select(ConfirmSelectOptions::default())).await?;
        let posts = session.endings().posts();
        Ok(Self {
            poster: posts.begin(channel.id(), session.frame_max()),
            channel,
            end,
            answers,
            _settling_up: session.user(),
            seat,
        })
    }

    pub(super) fn session(&self) -> &SharedSession {
        self.seat.session()
    }

    pub(super) fn poster(&self) -> &Poster {
        &self.poster
    }

    /// Waits for what happens next. What has happened is told before what has not.
    pub(super) async fn news(&self, answers: &mut VecDeque<Answered>) -> News {
        let session = self.session();
        tokio::select! {
            biased;
            () = poll_fn(|context| self.answers.poll_take(context, answers)) => News::Answered,
            () = self.end.over() => News::Over,
            () = session.endings().of_the_connection().over() => News::Over,
            () = session.over().cancelled() => News::Over,
        }
    }

    /// Whether nothing more comes.
    pub(super) fn is_over(&self) -> bool {
        let session = self.session();
        self.end.is_over()
            || !self.channel.status().connected()
            || session.endings().of_the_connection().is_over()
            || session.over().is_cancelled()
    }

    /// The answers that came before the end.
    pub(super) fn last_answers(&self, answers: &mut VecDeque<Answered>) {
        self.answers.take(answers);
    }

    /// Why it is over.
    pub(super) fn why_over(&self) -> Broken {
        let connection = self.session().endings().of_the_connection();
        Broken::by(self.end.answer(), connection.answer())
    }

    /// Closes the channel. What was not begun is not written any more.
    pub(super) async fn leave(self) {
        let Self {
            channel,
            poster,
            end,
            ..
        } = self;
        drop(poster);
        if channel.status().connected() {
            leave_at_its_end(&channel, &end, "publisher ended").await;
        }
    }
}
