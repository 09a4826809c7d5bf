//! Signatures for Amazon's services by the clock on the wall, from the keys of the environment.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::anyhow;
use bytes::Bytes;
use http::Request;
use http::header::HOST;

use crate::app::failure::Failure;
use crate::app::surroundings::wall_clock;
use crate::app::target;
use crate::config::Secrets;
use crate::domain::Secret;
use crate::plan::Plan;
use crate::provider::Kind;
use crate::provider::aws::{Keys, Signer};
use crate::runner::{Authority, AuthorityError};

/// How long a signature is used. Servers take one for five minutes, and clocks differ.
const LASTS: Duration = Duration::from_secs(60);

/// Signs each request.
#[derive(Debug)]
struct Signs(Signer);

impl Authority for Signs {
    fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), AuthorityError> {
        let now = wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.0
            .sign(request, now)
            .map_err(|error| AuthorityError(error.to_string()))
    }

    fn lasts(&self) -> Duration {
        LASTS
    }
}

/// Instead of signatures, at Bedrock: a key that was given stands before the environment's.
pub(super) fn bearer(secrets: &Secrets) -> Option<&Secret> {
    secrets
        .api_key
        .as_ref()
        .or(secrets.aws.bearer_token.as_ref())
}

/// Who signs the requests of a plan; `None` where a key does instead.
pub(super) fn of(plan: &Plan, secrets: &Secrets) -> Result<Option<Arc<dyn Authority>>, Failure> {
    let spec = &plan.provider;
    if spec.kind != Kind::SageMaker && bearer(secrets).is_some() {
        return Ok(None);
    }
    let aws = &secrets.aws;
    let (Some(access_key_id), Some(secret_access_key)) =
        (&aws.access_key_id, &aws.secret_access_key)
    else {
        return Err(missing(spec.kind, secrets));
    };
    let region = spec.place.aws_region.as_deref().ok_or_else(|| {
        Failure::usage(anyhow!("provider `{}` needs a region of AWS", spec.kind))
            .hint("give --aws-region, or set AWS_REGION_NAME")
    })?;
    let keys = Keys {
        access_key_id,
        secret_access_key,
        session_token: aws.session_token.as_ref(),
    };
    let target = target::parse(&plan.target.base_url)?;
    let signer = Signer::new(
        spec.kind,
        region,
        &target.authority(),
        &target.base_path,
        &keys,
    );
    // What cannot be signed is known before the run.
    let mut trial = Request::post("/").body(Bytes::new()).unwrap_or_default();
    if let Some(host) = spec.headers.get(HOST.as_str())
        && let Ok(host) = host.parse()
    {
        trial.headers_mut().insert(HOST, host);
    }
    let authority = Signs(signer);
    authority.authorize(&mut trial).map_err(Failure::usage)?;
    Ok(Some(Arc::new(authority)))
}

fn missing(kind: Kind, secrets: &Secrets) -> Failure {
    let absent = [
        ("AWS_ACCESS_KEY_ID", &secrets.aws.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", &secrets.aws.secret_access_key),
    ];
    let absent: Vec<&str> = absent
        .into_iter()
        .filter(|(_, value)| value.is_none())
        .map(|(name, _)| name)
        .collect();
    let hint = if kind == Kind::SageMaker {
        "set them in the environment of whoever sends (AWS_SESSION_TOKEN too, for keys that are lent)"
    } else {
        "set them in the environment of whoever sends, or AWS_BEARER_TOKEN_BEDROCK instead"
    };
    let names = absent.join(" and ");
    Failure::usage(anyhow!("provider `{kind}` needs {names}")).hint(hint)
}
