//! Connects to targets or pods and checks what they answer. `tcp-check --help` lists the options.
fn main() -> std::process::ExitCode {
    checks::tcp::CHECK.main()
}
