//! Who signs requests to Amazon's services: the keys of the environment. How they are signed is `embed`'s affair.

use std::sync::Arc;

use anyhow::anyhow;

use crate::app::failure::Failure;
use crate::config::Secrets;
use crate::domain::Secret;
use crate::embed::signatures;
use crate::plan::Plan;
use crate::provider::Kind;
use crate::provider::aws::Keys;
use crate::runner::Authority;

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
    let keys = Keys {
        access_key_id,
        secret_access_key,
        session_token: aws.session_token.as_ref(),
    };
    Ok(Some(signatures(plan, &keys)?))
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
