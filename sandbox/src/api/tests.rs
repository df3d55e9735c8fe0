use super::*;

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut api = Api::new(&url, None, "test").unwrap();
    api.patience = Duration::from_millis(100);
    let calls = async {
        let watch = api.watch("/w", "").await.map(drop);
        [api.get("/g").await.map(drop), watch]
    };
    // The kernel accepts; nobody reads.
    let ended = tokio::time::timeout(Duration::from_secs(30), calls).await;
    for ended in ended.unwrap() {
        let why = ended.unwrap_err().to_string();
        assert!(why.ends_with("none within 100ms"), "{why}");
    }
}
