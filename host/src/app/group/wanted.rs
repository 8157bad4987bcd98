//! A command of this host in the words for all hosts, and back.

use hive_core::group::{CodeSource, Wanted};

use crate::control::{Command, NewCode, TrialRule};

/// The command in its parts: what it is, and the code that is sent along.
///
/// # Errors
///
/// It is for one host alone.
pub(super) fn parts(command: Command) -> Result<(Wanted, Vec<u8>), &'static str> {
    let mut sent = Vec::new();
    let wanted = match command {
        Command::Pause { consumer } => Wanted::Pause { consumer },
        Command::Resume { consumer } => Wanted::Resume { consumer },
        Command::Rescale { consumer, to } => Wanted::Rescale { consumer, to },
        Command::Reload => Wanted::Reload,
        Command::EndTrial { .. } => {
            return Err(
                "a canary or a shadow is on one host, and so is its end; to have the new version on all of them, swap \
                 with `--all-hosts`",
            );
        }
        Command::Swap {
            trial: Some(TrialRule::Shadow(_)),
            ..
        } => {
            return Err(
                "a shadow is for one host: its report is of the deliveries of that host; try it on one host, then swap \
                 on all",
            );
        }
        Command::Swap {
            trial: Some(TrialRule::Canary(_)),
            ..
        } => {
            return Err(
                "a canary is for one host: each would judge it by its own deliveries, and they could come to different \
                 ends; try it on one host, then swap on all",
            );
        }
        Command::Swap {
            component,
            code,
            trial: None,
        } => Wanted::Swap {
            component,
            code: match code {
                NewCode::File | NewCode::ChangedFile => CodeSource::File,
                NewCode::Before => CodeSource::Before,
                NewCode::Content(content) => {
                    let (bytes, sha256) = (content.len(), super::sum(&content));
                    sent = content;
                    CodeSource::Sent { bytes, sha256 }
                }
            },
        },
    };
    Ok((wanted, sent))
}

/// The command, with the code that was sent along.
pub(super) fn whole(wanted: Wanted, sent: Vec<u8>) -> Command {
    match wanted {
        Wanted::Pause { consumer } => Command::Pause { consumer },
        Wanted::Resume { consumer } => Command::Resume { consumer },
        Wanted::Rescale { consumer, to } => Command::Rescale { consumer, to },
        Wanted::Reload => Command::Reload,
        Wanted::Swap { component, code } => Command::Swap {
            component,
            code: match code {
                CodeSource::File => NewCode::File,
                CodeSource::Before => NewCode::Before,
                CodeSource::Sent { .. } => NewCode::Content(sent),
            },
            trial: None,
        },
    }
}
