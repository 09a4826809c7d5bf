//! Who lets requests in at clouds, from what a benchmark was given: signatures for Amazon's services, by the clock on the wall.
//! It looks for no key, and renews none.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Request;
use http::header::HOST;
use indexmap::IndexMap;

use super::address;
use super::error::Error;
use crate::domain::{AwsSecrets, Secret};
use crate::plan::Plan;
use crate::provider::Kind;
use crate::provider::aws::{Keys, Signer};
use crate::runner::{Authority, AuthorityError};

/// How long a signature is used. Servers take one for five minutes, and clocks differ.
const LASTS: Duration = Duration::from_secs(60);
/// Headers that let a request in, whoever gave them.
const LETTING_IN: [&str; 2] = ["authorization", "x-goog-api-key"];

/// Signs each request.
#[derive(Debug)]
struct Signs(Signer);

impl Authority for Signs {
    #[expect(
        clippy::disallowed_methods,
        reason = "a signature names the time at which it is made; a library's caller hands over no clock"
    )]
    fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), AuthorityError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        self.0
            .sign(request, now.unwrap_or_default())
            .map_err(|error| AuthorityError(error.to_string()))
    }

    fn lasts(&self) -> Duration {
        LASTS
    }
}

/// Signs a plan's requests with `keys`. What cannot be signed is found here, before the run.
pub(crate) fn signatures(plan: &Plan, keys: &Keys<'_>) -> Result<Arc<dyn Authority>, Error> {
    let spec = &plan.provider;
    let region = spec.place.aws_region.as_deref();
    let region = region.ok_or(Error::AwsRegion(spec.kind))?;
    let target = address::parse(&plan.target.base_url)?;
    let signer = Signer::new(
        spec.kind,
        region,
        &target.authority(),
        &target.base_path,
        keys,
    );
    let mut trial = Request::post("/").body(Bytes::new()).unwrap_or_default();
    if let Some(host) = spec.headers.get(HOST.as_str())
        && let Ok(host) = host.parse()
    {
        trial.headers_mut().insert(HOST, host);
    }
    let authority = Signs(signer);
    authority.authorize(&mut trial)?;
    Ok(Arc::new(authority))
}

/// The secrets that a benchmark was given.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) api_key: Option<&'a Secret>,
    pub(super) headers: &'a IndexMap<String, Secret>,
    pub(super) aws: &'a AwsSecrets,
}

impl<'a> Given<'a> {
    /// The key of a header that stays the same; at Bedrock one of Amazon's stands in for signatures.
    pub(super) fn key(self, kind: Kind) -> Option<&'a Secret> {
        let bearer = self.aws.bearer_token.as_ref();
        let is_taken = matches!(kind, Kind::Bedrock | Kind::BedrockInvoke);
        self.api_key.or(bearer.filter(|_| is_taken))
    }

    /// Who lets the requests of `plan` in; `None` where a header does that stays the same, or nobody asks.
    pub(super) fn authority(self, plan: &Plan) -> Result<Option<Arc<dyn Authority>>, Error> {
        let kind = plan.provider.kind;
        let lets_in = |name: &String| LETTING_IN.iter().any(|it| name.eq_ignore_ascii_case(it));
        let mut names = self.headers.keys().chain(plan.provider.headers.keys());
        if names.any(lets_in) || (kind != Kind::SageMaker && self.key(kind).is_some()) {
            return Ok(None);
        }
        match kind {
            Kind::SageMaker | Kind::Bedrock | Kind::BedrockInvoke => {
                let keys = self.signing().ok_or(Error::NoAuthority(kind))?;
                signatures(plan, &keys).map(Some)
            }
            _ if is_googles(plan) && !is_here(plan)? => Err(Error::NoAuthority(kind)),
            _ => Ok(None),
        }
    }

    fn signing(self) -> Option<Keys<'a>> {
        Some(Keys {
            access_key_id: self.aws.access_key_id.as_ref()?,
            secret_access_key: self.aws.secret_access_key.as_ref()?,
            session_token: self.aws.session_token.as_ref(),
        })
    }
}

fn is_googles(plan: &Plan) -> bool {
    let kinds = [Kind::Gemini, Kind::VertexPredict, Kind::VertexAnthropic];
    plan.provider.place.google.is_some() || kinds.contains(&plan.provider.kind)
}

/// A server on this machine is no one of Google's, and may let anybody in.
fn is_here(plan: &Plan) -> Result<bool, Error> {
    let host = address::parse(&plan.target.base_url)?.host;
    Ok(host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()))
}
