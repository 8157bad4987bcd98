//! The credentials that `aws configure` writes: `~/.aws/credentials`, a file of profiles.
//!
//! Read where the variables name no other source, as Amazon's own tools do it: the file is the last resort before the
//! machine's role.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// Variables that name another source of credentials, which goes before the file.
const OTHER_SOURCES: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// The keys of one profile. Not to be shown.
pub(crate) struct Credentials {
    pub(crate) access_key_id: String,
    pub(crate) secret_access_key: String,
    pub(crate) session_token: Option<String>,
}

/// The credentials of the profile in force. `None` where there is another source, or no file.
///
/// # Errors
///
/// A file or a profile that was named and cannot be read.
pub(crate) fn credentials() -> Result<Option<Credentials>, String> {
    if OTHER_SOURCES.iter().any(|name| env::var_os(name).is_some()) {
        return Ok(None);
    }
    let profile = env::var("AWS_PROFILE").ok();
    let named = env::var_os("AWS_SHARED_CREDENTIALS_FILE");
    let is_named = named.is_some() || profile.is_some();
    let Some(path) = path(named, env::var_os("HOME")) else {
        return Ok(None);
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(_) if !is_named => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let profile = profile.as_deref().unwrap_or("default");
    match of_profile(&text, profile) {
        None if is_named => Err(format!(
            "{} has no profile {profile:?} with aws_access_key_id and aws_secret_access_key",
            path.display()
        )),
        found => Ok(found),
    }
}

fn path(named: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let in_home = || Some(PathBuf::from(home?).join(".aws/credentials"));
    named.map(PathBuf::from).or_else(in_home)
}

/// The keys of `[profile]`.
fn of_profile(text: &str, profile: &str) -> Option<Credentials> {
    let mut is_in_it = false;
    let [mut id, mut secret, mut token] = [None, None, None];
    for line in text.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            is_in_it = name.trim() == profile;
            continue;
        }
        if !is_in_it || line.starts_with(['#', ';']) {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let value = Some(value.trim().to_owned());
        match key.trim() {
            "aws_access_key_id" => id = value,
            "aws_secret_access_key" => secret = value,
            "aws_session_token" => token = value,
            _ => {}
        }
    }
    Some(Credentials {
        access_key_id: id?,
        secret_access_key: secret?,
        session_token: token,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# made by hand\n[default]\naws_access_key_id = A\naws_secret_access_key=b=c\n\n\
                        [ other ]\n; no secret\naws_access_key_id = O\n\
                        [full]\naws_access_key_id=F\naws_secret_access_key = s\naws_session_token = t\n";

    #[test]
    fn the_keys_are_those_of_the_profile() {
        let found = of_profile(FILE, "default").unwrap();
        assert_eq!(found.access_key_id, "A");
        assert_eq!(found.secret_access_key, "b=c");
        assert_eq!(found.session_token, None);
        let found = of_profile(FILE, "full").unwrap();
        assert_eq!(found.session_token.as_deref(), Some("t"));
        assert!(of_profile(FILE, "other").is_none());
        assert!(of_profile(FILE, "none").is_none());
    }

    #[test]
    fn a_named_file_goes_before_the_one_at_home() {
        let at = |named: Option<&str>, home: Option<&str>| {
            path(named.map(OsString::from), home.map(OsString::from))
        };
        assert_eq!(at(Some("/a"), Some("/h")), Some(PathBuf::from("/a")));
        let in_home = PathBuf::from("/h/.aws/credentials");
        assert_eq!(at(None, Some("/h")), Some(in_home));
        assert_eq!(at(None, None), None);
    }
}
