//! Keys that a master shares, as protobuf and back. Nothing here shows one; who may have them is decided elsewhere.

use std::fmt;

use super::{WireError, pb};
use crate::cluster::SharedSecrets;
use crate::domain::{AwsSecrets, Secret};

/// Most bytes of a key or a header's value.
const MAX_SECRET_BYTES: usize = 64 * 1024;

/// Most bytes of a header's name.
const MAX_HEADER_NAME_BYTES: usize = 256;

/// Most headers.
const MAX_HEADERS: usize = 256;

pub(super) fn encode(secrets: &SharedSecrets) -> pb::SharedSecrets {
    let headers = secrets.headers.iter();
    pb::SharedSecrets {
        api_key: secrets.api_key.as_ref().map(|key| key.expose().to_owned()),
        headers: headers
            .map(|(name, value)| pb::SecretHeader {
                name: name.clone(),
                value: value.expose().to_owned(),
            })
            .collect(),
        aws: (secrets.aws != AwsSecrets::default()).then(|| aws_out(&secrets.aws)),
    }
}

fn aws_out(secrets: &AwsSecrets) -> pb::AwsSecrets {
    let exposed = |secret: &Option<Secret>| secret.as_ref().map(|it| it.expose().to_owned());
    pb::AwsSecrets {
        access_key_id: exposed(&secrets.access_key_id),
        secret_access_key: exposed(&secrets.secret_access_key),
        session_token: exposed(&secrets.session_token),
        bearer_token: exposed(&secrets.bearer_token),
    }
}

fn aws_in(
    secrets: pb::AwsSecrets,
    secret: impl Fn(String) -> Result<Secret, WireError>,
) -> Result<AwsSecrets, WireError> {
    Ok(AwsSecrets {
        access_key_id: secrets.access_key_id.map(&secret).transpose()?,
        secret_access_key: secrets.secret_access_key.map(&secret).transpose()?,
        session_token: secrets.session_token.map(&secret).transpose()?,
        bearer_token: secrets.bearer_token.map(&secret).transpose()?,
    })
}

pub(super) fn decode(secrets: pb::SharedSecrets) -> Result<SharedSecrets, WireError> {
    let impossible = || WireError::Impossible("secrets");
    if secrets.headers.len() > MAX_HEADERS {
        return Err(impossible());
    }
    let secret = |value: String| {
        let sound = value.len() <= MAX_SECRET_BYTES && !value.contains(char::is_control);
        sound.then(|| Secret::new(value)).ok_or_else(impossible)
    };
    let header = |header: pb::SecretHeader| {
        let sound = header.name.len() <= MAX_HEADER_NAME_BYTES
            && header.name.bytes().all(|byte| byte.is_ascii_graphic());
        let name = sound.then_some(header.name).ok_or_else(impossible)?;
        Ok((name, secret(header.value)?))
    };
    let aws = secrets.aws.map(|aws| aws_in(aws, secret)).transpose()?;
    Ok(SharedSecrets {
        aws: aws.unwrap_or_default(),
        api_key: secrets.api_key.map(secret).transpose()?,
        headers: secrets
            .headers
            .into_iter()
            .map(header)
            .collect::<Result<_, WireError>>()?,
    })
}

impl fmt::Debug for pb::SharedSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecrets(***)")
    }
}

impl fmt::Debug for pb::AwsSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwsSecrets(***)")
    }
}

impl fmt::Debug for pb::SecretHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHeader(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared() -> SharedSecrets {
        SharedSecrets {
            api_key: Some(Secret::new("sk-secret-123")),
            headers: [("x-api-key".to_owned(), Secret::new("other-secret-456"))].into(),
            aws: AwsSecrets {
                access_key_id: Some(Secret::new("id-secret-789")),
                secret_access_key: Some(Secret::new("key-secret-789")),
                session_token: Some(Secret::new("session-secret-789")),
                bearer_token: Some(Secret::new("bearer-secret-789")),
            },
        }
    }

    #[test]
    fn keys_arrive_as_they_were_and_are_shown_by_nothing() {
        let encoded = encode(&shared());
        let text = format!(
            "{:?} {encoded:?} {:?} {:?}",
            shared(),
            encoded.headers,
            encoded.aws
        );
        assert!(!text.contains("secret-"), "{text}");
        assert_eq!(decode(encoded).unwrap(), shared());
    }

    #[test]
    fn keys_that_no_header_could_carry_are_refused() {
        let with = |change: fn(&mut pb::SharedSecrets)| {
            let mut encoded = encode(&shared());
            change(&mut encoded);
            decode(encoded)
        };
        assert!(with(|it| it.api_key = Some("a\r\nhost: evil".to_owned())).is_err());
        assert!(with(|it| it.api_key = Some("x".repeat(MAX_SECRET_BYTES + 1))).is_err());
        assert!(
            with(|it| it.aws.as_mut().unwrap().session_token = Some("a\nb".to_owned())).is_err()
        );
        assert!(with(|it| it.headers[0].name = "x y".to_owned()).is_err());
        assert!(with(|it| it.headers = vec![it.headers[0].clone(); MAX_HEADERS + 1]).is_err());
        assert!(with(|it| it.api_key = None).is_ok());
    }
}
