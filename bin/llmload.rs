//! The binary: hands the arguments to the library and returns its exit status. It decides nothing.

use std::process::ExitCode;

fn main() -> ExitCode {
    llmload::app::main(std::env::args_os())
}
