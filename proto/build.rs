//! Compiles the cluster protocol with protox, so that no protoc is needed.
//! It generates code into `OUT_DIR` and touches nothing else.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(
        [
            "llmload/v1/cluster.proto",
            "llmload/v1/control.proto",
            "llmload/v1/journal.proto",
        ],
        ["proto"],
    )?;
    tonic_prost_build::configure()
        // What could show a key is written by hand, beside the wire.
        .skip_debug([
            "llmload.v1.SharedSecrets",
            "llmload.v1.AwsSecrets",
            "llmload.v1.SecretHeader",
        ])
        .compile_fds(descriptors)?;
    Ok(())
}
