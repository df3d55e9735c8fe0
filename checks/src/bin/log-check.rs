//! Counts log lines in Elasticsearch, OpenSearch or Loki. `log-check --help` lists the options.
fn main() -> std::process::ExitCode {
    checks::logs::CHECK.main()
}
