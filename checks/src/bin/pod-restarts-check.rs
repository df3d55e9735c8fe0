//! Looks for containers that restart too often. `pod-restarts-check --help` lists the options.
fn main() -> std::process::ExitCode {
    checks::restarts::CHECK.main()
}
