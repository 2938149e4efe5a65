//! The binary `headwater`: the command line with the built-in kinds and no others.

fn main() -> std::process::ExitCode {
    headwater::main_with(&[])
}
