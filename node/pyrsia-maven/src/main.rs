//! Starts the program.

fn main() -> std::process::ExitCode {
    pyrsia_maven::exit::Exit::into(pyrsia_maven::main())
}
