//! What the environment tells of Amazon's services: keys, and the region. Options stand before it.
//! It looks nowhere else: no file of profiles is read, and no machine is asked for its role.

use super::build::{Builder, Result};
use super::cli::TargetArgs;
use super::error::Fault;
use super::google::usual_address;
use super::{Surroundings, target};
use crate::domain::{AwsSecrets, Secret};
use crate::provider::aws::{is_region, region_of_host};
use crate::provider::{Kind, Place};

/// Where the region is, for those that are told none.
pub(super) const REGION: &[&str] = &["AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"];

/// The keys in the environment; an empty variable is none.
pub fn aws_secrets(around: &dyn Surroundings) -> AwsSecrets {
    let secret = |name: &str| {
        let value = around.variable(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| Secret::new(value))
    };
    AwsSecrets {
        access_key_id: secret("AWS_ACCESS_KEY_ID"),
        secret_access_key: secret("AWS_SECRET_ACCESS_KEY"),
        session_token: secret("AWS_SESSION_TOKEN"),
        bearer_token: secret("AWS_BEARER_TOKEN_BEDROCK"),
    }
}

impl Kind {
    /// The usual address of this API of Amazon's in `region`; `None` for others' APIs.
    pub fn aws_address(self, region: &str) -> Option<String> {
        let name = match self {
            Self::SageMaker => "runtime.sagemaker",
            Self::Bedrock | Self::BedrockInvoke => "bedrock-runtime",
            _ => return None,
        };
        let china = if region.starts_with("cn-") { ".cn" } else { "" };
        Some(format!("https://{name}.{region}.amazonaws.com{china}"))
    }
}

impl Builder<'_> {
    /// The keys of Amazon's services, where one of them is asked.
    pub(super) fn aws_secrets(&self, kind: Option<Kind>) -> AwsSecrets {
        if kind.is_some_and(Kind::is_aws) {
            aws_secrets(self.around)
        } else {
            AwsSecrets::default()
        }
    }

    /// The region of AWS, which an address may tell; an API without any is refused here.
    pub(super) fn place(&self, args: &TargetArgs, region: Option<&str>) -> Result<Place> {
        let Some(kind) = args.provider.filter(|kind| kind.is_aws()) else {
            return Ok(Place::default());
        };
        let told = || {
            self.merged
                .is_given("host")
                .then(|| region_of_address(&args.host))?
        };
        let region = region.map(str::to_owned).or_else(told);
        let region = region.ok_or_else(|| {
            Fault::new(format!("provider `{kind}` needs a region of AWS"))
                .hint("give --aws-region, or set AWS_REGION_NAME")
        });
        let region = region.and_then(|region| checked(&region).map(str::to_owned));
        Ok(Place {
            aws_region: Some(self.check("aws_region", region)?),
            ..Place::default()
        })
    }

    /// The server: what was said, or the usual address of an API of Amazon's.
    pub(super) fn address(&self, args: &TargetArgs, place: &Place) -> Result<String> {
        if !self.merged.is_given("host")
            && let Some(address) = usual_address(args.provider, place)
        {
            return Ok(address);
        }
        if !self.merged.is_given("host")
            && let (Some(kind), Some(region)) = (args.provider, &place.aws_region)
            && let Some(address) = kind.aws_address(region)
        {
            return Ok(address);
        }
        self.check("host", target::base_url(&args.host))
    }
}

/// It becomes a part of a host's name and of signatures.
pub(super) fn checked(region: &str) -> std::result::Result<&str, Fault> {
    if is_region(region) {
        return Ok(region);
    }
    Err(Fault::new(format!("`{region}` is not a region of AWS")).hint("write one like us-east-1"))
}

fn region_of_address(address: &str) -> Option<String> {
    let uri: http::Uri = address.trim().parse().ok()?;
    region_of_host(uri.host()?).map(str::to_owned)
}
