//! Amazon's services: regions, addresses and keys, from whichever variable has them.

use super::machines::worker_in;
use super::settings::run_in;
use super::{Around, resolved};
use crate::provider::Kind;

const KEYS: [(&str, &str); 4] = [
    ("AWS_ACCESS_KEY_ID", " id "),
    ("AWS_SECRET_ACCESS_KEY", "key"),
    ("AWS_SESSION_TOKEN", ""),
    ("AWS_BEARER_TOKEN_BEDROCK", "bearer"),
];

fn exposed(aws: &crate::domain::AwsSecrets) -> Vec<&str> {
    aws.values().map(crate::domain::Secret::expose).collect()
}

#[test]
fn a_region_gives_the_usual_address_and_an_address_gives_its_region() {
    let in_region = |line: &str, variables: &[(&str, &str)]| {
        let settings = run_in(line, &Around::with(variables)).settings;
        (settings.target.base_url, settings.place.aws_region.unwrap())
    };
    let usual = |name: &str, region: &str, end: &str| {
        (
            format!("https://{name}.{region}.amazonaws.com{end}"),
            region.to_owned(),
        )
    };
    assert_eq!(
        in_region(
            "--provider bedrock --aws-region us-east-1",
            &[("AWS_REGION_NAME", "eu-west-1")]
        ),
        usual("bedrock-runtime", "us-east-1", "")
    );
    for variable in ["AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"] {
        assert_eq!(
            in_region("--provider sagemaker", &[(variable, "cn-north-1")]),
            usual("runtime.sagemaker", "cn-north-1", ".cn")
        );
    }
    let address = "https://bedrock-runtime.eu-central-1.amazonaws.com";
    assert_eq!(
        in_region(&format!("--provider bedrock-invoke -H {address}"), &[]),
        (address.to_owned(), "eu-central-1".to_owned())
    );
    assert_eq!(
        in_region(
            "--provider bedrock -H http://127.0.0.1:1/b",
            &[("AWS_REGION", "us-east-2")]
        ),
        ("http://127.0.0.1:1/b".to_owned(), "us-east-2".to_owned())
    );
}

#[test]
fn an_api_of_amazons_without_a_region_is_refused_and_so_is_one_that_is_none() {
    let fails = |line: &str| resolved(line, &Around::default()).unwrap_err().to_string();
    let none = fails("run --provider sagemaker -H http://127.0.0.1:1");
    assert!(
        none.contains("provider `sagemaker` needs a region of AWS"),
        "{none}"
    );
    let odd = fails("run --provider sagemaker --aws-region us/east");
    assert!(odd.contains("`us/east` is not a region of AWS"), "{odd}");
}

#[test]
fn keys_are_read_where_amazon_is_asked_and_by_every_worker() {
    let around = Around::with(&KEYS);
    for (line, expected) in [
        (
            "--provider sagemaker --aws-region us-east-1",
            vec!["id", "key", "bearer"],
        ),
        ("--provider openai", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(
            exposed(&run_in(line, &around).settings.secrets.aws),
            expected,
            "{line}"
        );
    }
    assert_eq!(
        exposed(&worker_in("", &around).secrets.aws),
        ["id", "key", "bearer"]
    );
    assert_eq!(Kind::OpenAi.aws_address("us-east-1"), None);
}

#[test]
fn a_place_in_a_cloud_without_a_provider_there_is_refused_and_not_dropped() {
    for (line, option) in [
        (
            "run -H http://h -m m --aws-region us-east-1",
            "--aws-region",
        ),
        (
            "run -H http://h -m m --provider vllm --aws-region us-east-1",
            "--aws-region",
        ),
        (
            "run -H http://h -m m --gcloud-project p",
            "--gcloud-project",
        ),
        ("run -H http://h -m m --gcloud-region r", "--gcloud-region"),
        (
            "run -H http://h -m m --vertexai-endpoint-id 1",
            "--vertexai-endpoint-id",
        ),
    ] {
        let error = resolved(line, &Around::with(&[])).unwrap_err();
        assert!(error.to_string().contains(option), "{line}: {error}");
        assert!(error.hint().unwrap().contains("--provider"), "{line}");
    }
    // What stands ready in the environment is for other runs.
    let ready = [("AWS_REGION", "us-east-1"), ("GCLOUD_PROJECT_ID", "p")];
    assert!(resolved("run -H http://h -m m -t 1s", &Around::with(&ready)).is_ok());
}
