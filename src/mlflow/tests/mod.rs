//! The whole logging against a server of this process that stores, refuses, delays, dies. The rest is tested beside the code.

mod server;
mod story;
