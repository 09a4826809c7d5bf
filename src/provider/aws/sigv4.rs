//! Signatures of version 4, by which Amazon lets requests in. It reads no clock: who signs says when.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue, Request};

use crate::domain::Secret;
use crate::provider::Kind;

/// Signs requests to one server.
pub struct Signer {
    region: String,
    service: &'static str,
    /// As the client writes it: with its port where that is not the scheme's own.
    host: String,
    base_path: String,
    identity: Identity,
}

/// Why a request cannot be signed. Without a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot be signed: {0}")]
pub struct SignError(String);

impl Signer {
    /// A signer for requests to `host` (with a port where the client writes one), below `base_path`, of an API of Amazon's.
    pub fn new(kind: Kind, region: &str, host: &str, base_path: &str, keys: &Keys<'_>) -> Self {
        let session = keys.session_token.map(|token| token.expose().to_owned());
        let credentials = Credentials::new(
            keys.access_key_id.expose(),
            keys.secret_access_key.expose(),
            session,
            None,
            "llmload",
        );
        Self {
            region: region.to_owned(),
            service: if kind == Kind::SageMaker {
                "sagemaker"
            } else {
                "bedrock"
            },
            host: host.to_owned(),
            base_path: base_path.to_owned(),
            identity: credentials.into(),
        }
    }

    /// Signs `request`, whose URI is a path, as sent so long after 1970; an earlier signature is replaced.
    ///
    /// Signed are the host, the media type and Amazon's own headers: what stands between may change the others.
    ///
    /// # Errors
    /// A header, or a part of the path, has characters that cannot be signed.
    pub fn sign(
        &self,
        request: &mut Request<Bytes>,
        since_epoch: Duration,
    ) -> Result<(), SignError> {
        let unsignable = |error: &dyn fmt::Display| SignError(error.to_string());
        let params = v4::SigningParams::builder()
            .identity(&self.identity)
            .region(&self.region)
            .name(self.service)
            .time(UNIX_EPOCH + since_epoch)
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsignable(&error))?
            .into();
        let instructions = {
            let path = request
                .uri()
                .path_and_query()
                .map_or("/", |path| path.as_str());
            let uri = format!("https://{}{}{path}", self.host, self.base_path);
            let headers = self.signed(request)?;
            let body = SignableBody::Bytes(request.body());
            let signable =
                SignableRequest::new(request.method().as_str(), uri, headers.into_iter(), body)
                    .map_err(|error| unsignable(&error))?;
            let signed = sign(signable, &params).map_err(|error| unsignable(&error))?;
            signed.into_parts().0
        };
        for header in instructions.into_parts().0 {
            let mut value =
                HeaderValue::try_from(header.value()).map_err(|error| unsignable(&error))?;
            value.set_sensitive(true);
            request
                .headers_mut()
                .insert(HeaderName::from_static(header.name()), value);
        }
        Ok(())
    }

    /// The headers that are signed, but for those that an earlier signature brought.
    fn signed<'a>(
        &'a self,
        request: &'a Request<Bytes>,
    ) -> Result<Vec<(&'a str, &'a str)>, SignError> {
        let mut signed = Vec::with_capacity(4);
        if !request.headers().contains_key(HOST) {
            signed.push((HOST.as_str(), self.host.as_str()));
        }
        for (name, value) in request.headers() {
            let brought = matches!(name.as_str(), "x-amz-date" | "x-amz-security-token");
            let counts =
                *name == HOST || *name == CONTENT_TYPE || name.as_str().starts_with("x-amz");
            if counts && !brought {
                let value = value
                    .to_str()
                    .map_err(|_| SignError(format!("header `{name}`")))?;
                signed.push((name.as_str(), value));
            }
        }
        Ok(signed)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({} in {})", self.service, self.region)
    }
}

/// What a signature is made with.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// Whose it is.
    pub access_key_id: &'a Secret,
    /// What proves it.
    pub secret_access_key: &'a Secret,
    /// Sent along with keys that are lent for a time.
    pub session_token: Option<&'a Secret>,
}
