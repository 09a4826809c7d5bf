//! Tokens for Vertex AI: found as Google's own programs find them (application-default credentials), and renewed while a
//! run goes on. A token that somebody gave is a header like any other, and stays as it is.

mod credentials;
mod exchange;
mod keeper;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use anyhow::anyhow;

use self::credentials::Credentials;
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
    if own.api_key.is_none() {
        own.api_key = google_key(&Process, plan.provider.place.google.is_some());
    }
    own
}

/// Who lets the requests of a plan in; `None` where a header does that stays the same.
pub(super) fn of(plan: &Plan, secrets: &Secrets) -> Result<Option<Arc<dyn Authority>>, Failure> {
    let carried = LETTING_IN.iter().any(|name| {
        secrets.headers.contains_key(*name) || plan.provider.headers.contains_key(*name)
    });
    if carried || secrets.api_key.is_some() {
        return Ok(None);
    }
    // A server on this machine is no one of Google's, and may let anybody in.
    let host = target::parse(&plan.target.base_url)?.host;
    let is_here = host == "localhost"
        || host
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    let kind = plan.provider.kind;
    if plan.provider.place.google.is_none() {
        let failure = Failure::usage(anyhow!("provider `{kind}` needs GEMINI_API_KEY"));
        let hint = "set it (or GOOGLE_API_KEY), give --api-key, or --gcloud-project for Vertex AI";
        return if is_here {
            Ok(None)
        } else {
            Err(failure.hint(hint))
        };
    }
    let Some(credentials) = Credentials::find(&variable, is_here).map_err(refused)? else {
        return Ok(None);
    };
    let tls = TlsSettings {
        ca_pem: plan.target.ca_pem.clone(),
        ..TlsSettings::default()
    };
    let tls = tls.config().map_err(Failure::usage)?;
    let keeper = Keeper::start(credentials, &tls).map_err(refused)?;
    Ok(Some(Arc::new(keeper)))
}

fn refused(error: credentials::CredentialError) -> Failure {
    let hint = error.hint();
    Failure::usage(error).hint(hint)
}
