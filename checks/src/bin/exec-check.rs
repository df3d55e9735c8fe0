//! Runs a command, here or in pods, and checks how it ends. `exec-check --help` lists the options.
fn main() -> std::process::ExitCode {
    checks::exec::CHECK.main()
}
