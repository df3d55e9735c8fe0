//! Asks URLs or pods and checks their answers. `http-check --help` lists the options.
fn main() -> std::process::ExitCode {
    checks::http::CHECK.main()
}
