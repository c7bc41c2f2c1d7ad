//! The one command-line program; everything is in the library.

fn main() -> std::process::ExitCode {
    arcgate::cli::main()
}
