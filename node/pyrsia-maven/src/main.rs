//! Starts the program.

/// Small answers are mostly small allocations: with the system's allocator they cost a tenth more.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    pyrsia_maven::exit::Exit::into(pyrsia_maven::main())
}
