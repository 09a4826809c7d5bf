//! Reads the files of tokens and TLS, and says which of them cannot be used and why. Nothing of their content is shown.

use std::fs;
use std::path::Path;

use anyhow::{Context, anyhow};

use super::failure::Failure;
use crate::cluster::{
    ClientSecurity, ClientTlsParts, ClusterError, Limits, Rejection, SecurityError, ServeOptions,
    ServerSecurity,
};
use crate::config::{self, Connection, MasterOptions, TokenSource};
use crate::domain::Secret;

/// Who may connect to a master, and how many.
pub(super) fn of_master(options: &MasterOptions) -> Result<ServeOptions, Failure> {
    let mut security = ServerSecurity::default();
    if let Some(source) = &options.security.token {
        security = security.with_token(&token(source)?);
    }
    if let Some(files) = &options.security.tls {
        let cert = text(&files.cert, "--tls-cert")?;
        let key = private(&files.key, "--tls-key")?;
        let client_ca = files
            .client_ca
            .as_ref()
            .map(|path| text(path, "--tls-ca"))
            .transpose()?;
        let client_ca_path = files.client_ca.as_deref().unwrap_or(&files.cert);
        security = security
            .with_tls(&cert, &key, client_ca.as_deref())
            .map_err(|error| unusable(error, &files.cert, &files.key, client_ca_path))?;
    }
    Ok(ServeOptions {
        security,
        limits: Limits {
            max_workers: options.max_workers,
            heartbeat: options.heartbeats.interval,
        },
    })
}

/// What to tell a master, and whom to believe.
pub(super) fn of_connection(connection: &Connection) -> Result<ClientSecurity, Failure> {
    let mut security = ClientSecurity::default();
    if let Some(source) = &connection.token {
        security = security
            .with_token(&token(source)?)
            .map_err(Failure::usage)?;
    }
    let Some(files) = &connection.tls else {
        return Ok(security);
    };
    let nothing = Path::new("");
    let (cert, key) = files
        .identity
        .as_ref()
        .map_or((nothing, nothing), |(cert, key)| (cert, key));
    let identity = match &files.identity {
        None => None,
        Some((cert, key)) => Some((text(cert, "--tls-cert")?, private(key, "--tls-key")?)),
    };
    let ca = files.ca.as_deref();
    let parts = ClientTlsParts {
        ca: ca.map(|path| text(path, "--tls-ca")).transpose()?,
        identity,
        server_name: files.server_name.clone(),
    };
    security
        .with_tls(&parts)
        .map_err(|error| unusable(error, cert, key, ca.unwrap_or(nothing)))
}

/// Why a cluster broke off, and what to do where the worker was turned away.
pub(super) fn broke_off(error: ClusterError) -> Failure {
    let ClusterError::Rejected(rejection) = error else {
        return Failure::failed(error);
    };
    let hint = way_in(&rejection);
    Failure::usage(rejection).hint(hint)
}

/// What to do where the master and whoever connects do not believe each other.
pub(super) const fn way_in(rejection: &Rejection) -> &'static str {
    match rejection {
        Rejection::NoToken => "--token-file FILE or LLMLOAD_TOKEN: the token that the master has",
        Rejection::WrongToken => {
            "give the master's --token-file, or look whether it is the right master"
        }
        Rejection::Tls(_) => {
            "--tls-ca is the authority of the master's certificate, --tls-server-name a name in it; a master with --tls-ca wants --tls-cert and --tls-key"
        }
    }
}

fn token(source: &TokenSource) -> Result<Secret, Failure> {
    match source {
        TokenSource::Given(token) => Ok(token.clone()),
        TokenSource::File(path) => token_in(path, "--token-file"),
    }
}

/// The token in a file that `option` names.
pub(super) fn token_in(path: &Path, option: &str) -> Result<Secret, Failure> {
    let content = private(path, option)?;
    config::token(content.expose()).map_err(|error| {
        Failure::usage(anyhow!("cannot use `{}`: {error}", path.display())).hint(error.hint())
    })
}

fn text(path: &Path, option: &str) -> Result<String, Failure> {
    fs::read_to_string(path)
        .with_context(|| format!("cannot read `{}` of {option}", path.display()))
        .map_err(|error| Failure::usage(error).hint("`llmload certs` makes the files"))
}

/// A file that nobody else should read.
fn private(path: &Path, option: &str) -> Result<Secret, Failure> {
    let content = text(path, option).map(Secret::new)?;
    if others_may_read(path) {
        tracing::warn!(
            "others on this machine may read `{0}` of {option}: chmod 600 {0}",
            path.display()
        );
    }
    Ok(content)
}

/// Whether somebody else than the reader was let in. A file of the administrator's that a group may read is meant for the
/// member of the group that reads it: that is how secrets are mounted into containers and lent to services.
#[cfg(unix)]
fn others_may_read(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path)
        .is_ok_and(|file| is_too_open(file.mode(), file.uid(), rustix::process::geteuid().as_raw()))
}

#[cfg(unix)]
const fn is_too_open(mode: u32, owner: u32, reader: u32) -> bool {
    const GROUP: u32 = 0o070;
    const OTHERS: u32 = 0o007;
    const ROOT: u32 = 0;
    let lent = owner == ROOT && reader != ROOT && mode & GROUP == 0o040;
    mode & OTHERS != 0 || (mode & GROUP != 0 && !lent)
}

#[cfg(not(unix))]
fn others_may_read(_: &Path) -> bool {
    false
}

/// Which file it is that an error is about.
fn unusable(error: SecurityError, cert: &Path, key: &Path, ca: &Path) -> Failure {
    let path = match &error {
        SecurityError::Certificate | SecurityError::Refused(_) => cert,
        SecurityError::Key => key,
        SecurityError::Authority => ca,
        SecurityError::ServerName(_) | SecurityError::Token => return Failure::usage(error),
    };
    let place = path.display().to_string();
    Failure::usage(anyhow::Error::new(error).context(format!("cannot use `{place}`")))
        .hint("`llmload certs` makes files that fit")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(content: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, content).unwrap();
        let failure = token(&TokenSource::File(path)).unwrap_err();
        assert_eq!(failure.status, 2);
        let words = failure.to_string();
        words.replace(&folder.path().display().to_string(), "")
    }

    #[test]
    fn a_token_file_holds_one_token_and_an_error_holds_none() {
        insta::assert_snapshot!(refused(" \n"), @r"
        error: cannot use `/token`: the token is empty
        hint: is the file or the variable that it comes from filled?
        ");
        insta::assert_snapshot!(refused("hunter2"), @r"
        error: cannot use `/token`: a token of 7 bytes is too short: 16 are the least
        hint: `llmload certs` makes a good one, and so does `openssl rand -hex 32`
        ");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "0123456789abcdef\n").unwrap();
        let found = token(&TokenSource::File(path)).unwrap();
        assert_eq!(found.expose(), "0123456789abcdef");
    }

    #[test]
    #[cfg(unix)]
    fn a_file_that_others_read_is_told_from_a_private_one() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "x").unwrap();
        for (mode, others) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(others_may_read(&path), others, "{mode:o}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn what_root_lends_to_a_group_is_not_open_to_others() {
        for (mode, owner, reader, open) in [
            (0o440, 0, 65532, false),
            (0o640, 0, 65532, false),
            (0o660, 0, 65532, true),
            (0o444, 0, 65532, true),
            (0o440, 0, 0, true),
            (0o440, 1000, 65532, true),
            (0o600, 1000, 1000, false),
        ] {
            assert_eq!(
                is_too_open(mode, owner, reader),
                open,
                "{mode:o} {owner} {reader}"
            );
        }
    }
}
