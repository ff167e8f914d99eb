fn main() -> std::process::ExitCode {
    crosstalk::cli::main()
}
