//! Looks whether what others need is available. `dependency-check --help` lists the options.
fn main() -> std::process::ExitCode {
    checks::dependency::CHECK.main()
}
