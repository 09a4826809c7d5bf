//! Who lets requests in at clouds: signatures of AWS, keys of Google that are renewed while a run goes on.
//! What they are made of is read here; how a request is signed is the provider's affair.

mod aws;
mod google;

use std::sync::Arc;

use super::failure::Failure;
use crate::config::Secrets;
use crate::domain::Secret;
use crate::plan::Plan;
use crate::provider::Kind;
use crate::runner::Authority;

/// Who lets the requests of a plan in; `None` where a header that stays the same does.
pub(super) fn of(plan: &Plan, secrets: &Secrets) -> Result<Option<Arc<dyn Authority>>, Failure> {
    match plan.provider.kind {
        Kind::SageMaker | Kind::Bedrock | Kind::BedrockInvoke => aws::of(plan, secrets),
        _ if google::concerns(plan) => google::of(plan, secrets),
        _ => Ok(None),
    }
}

/// `secrets` with what this machine has of its own for a plan, where the options gave nothing.
pub(super) fn own(plan: &Plan, secrets: &Secrets) -> Secrets {
    if google::concerns(plan) {
        return google::own(plan, secrets);
    }
    let mut own = secrets.clone();
    if plan.provider.kind.is_aws() && own.is_any_key {
        own.api_key = None;
        own.is_any_key = false;
    }
    own
}

/// The key of a header that stays the same. `is_let_in`: somebody lets each request in already.
pub(super) fn key<'a>(plan: &Plan, secrets: &'a Secrets, is_let_in: bool) -> Option<&'a Secret> {
    match plan.provider.kind {
        Kind::Bedrock | Kind::BedrockInvoke => aws::bearer(secrets),
        _ if is_let_in && secrets.is_any_key => None,
        _ => secrets.api_key.as_ref(),
    }
}
