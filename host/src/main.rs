//! The one command-line program; everything is in the library.

/// Training frees and takes the same large buffers at every step; the system's allocator gives each back to the kernel.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    arcgate::cli::main()
}
