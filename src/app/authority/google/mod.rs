//! Tokens for Vertex AI: found as Google's own programs find them (application-default credentials), and renewed while a
//! run goes on. A token that somebody gave is a header like any other, and stays as it is.

mod credentials;
mod exchange;
mod keeper;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::anyhow;

use self::credentials::{CredentialError, Credentials};
use self::keeper::Keeper;
use crate::app::failure::Failure;
use crate::app::surroundings::{Process, variable};
use crate::app::target;
use crate::client::TlsSettings;
use crate::config::{Secrets, google_key};
use crate::plan::Plan;
use crate::provider::Kind;
use crate::runner::Authority;

/// Headers that let a request in, whoever gave them.
const LETTING_IN: [&str; 2] = ["authorization", "x-goog-api-key"];

/// Whether a plan's requests go to Google's servers: some of them speak in others' words.
pub(super) fn concerns(plan: &Plan) -> bool {
    plan.provider.place.google.is_some() || plan.provider.kind == Kind::Gemini
}

/// `secrets` with this machine's own token or key, where it has none of the options.
pub(super) fn own(plan: &Plan, secrets: &Secrets) -> Secrets {
    let mut own = secrets.clone();
    let here = || google_key(&Process, plan.provider.place.google.is_some());
    if (own.api_key.is_none() || own.is_any_key)
        && let Some(key) = here()
    {
        own.api_key = Some(key);
        own.is_any_key = false;
    }
    own
}

/// Who lets the requests of a plan in; `None` where a header does that stays the same.
pub(super) fn of(plan: &Plan, secrets: &Secrets) -> Result<Option<Arc<dyn Authority>>, Failure> {
    let carried = LETTING_IN.iter().any(|name| {
        secrets.headers.contains_key(*name) || plan.provider.headers.contains_key(*name)
    });
    // A key for any server is the last that is taken, behind this machine's credentials.
    let (has_key, is_last) = (secrets.api_key.is_some(), secrets.is_any_key);
    if carried || has_key && !is_last {
        return Ok(None);
    }
    // A server on this machine is no one of Google's, and may let anybody in.
    let host = target::parse(&plan.target.base_url)?.host;
    let is_here = is_loopback(&host);
    let kind = plan.provider.kind;
    if plan.provider.place.google.is_none() {
        let failure = Failure::usage(anyhow!("provider `{kind}` needs GEMINI_API_KEY"));
        let hint = "set it (or GOOGLE_API_KEY), give --api-key, or --gcloud-project for Vertex AI";
        return if is_here || has_key {
            Ok(None)
        } else {
            Err(failure.hint(hint))
        };
    }
    let credentials = match Credentials::find(&variable, is_here) {
        Ok(Some(credentials)) => credentials,
        Ok(None) => return Ok(None),
        Err(CredentialError::Nowhere(_)) if has_key => return Ok(None),
        Err(error) => return Err(refused(error)),
    };
    let tls = TlsSettings {
        ca_pem: plan.target.ca_pem.clone(),
        ..TlsSettings::default()
    };
    let tls = tls.config().map_err(Failure::usage)?;
    match Keeper::start(credentials, &tls, plan.target.no_proxy) {
        Ok(keeper) => Ok(Some(Arc::new(keeper))),
        Err(CredentialError::Nowhere(_)) if has_key => Ok(None),
        Err(error) => Err(refused(error)),
    }
}

/// Whether a host is this machine, by its name or its address.
fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

fn refused(error: CredentialError) -> Failure {
    let hint = error.hint();
    Failure::usage(error).hint(hint)
}
