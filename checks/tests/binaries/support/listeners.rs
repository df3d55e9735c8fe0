//! TCP listeners of every temper; they live as long as the test process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::net::TcpSocket;

use super::PATIENCE;

/// A server on `address` that gives every connection to `handle`.
pub(crate) fn serve_on(
    address: &str,
    handle: impl Fn(TcpStream) + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    let handle = Arc::new(handle);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let handle = Arc::clone(&handle);
            thread::spawn(move || {
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                handle(stream);
            });
        }
    });
    address
}

/// [`serve_on`] loopback.
pub(crate) fn serve(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    serve_on("127.0.0.1:0", handle)
}

/// A server that says `banner` and then waits for the other side to close.
pub(crate) fn saying(banner: &'static [u8]) -> SocketAddr {
    serve(move |mut stream| {
        let _ = stream.write_all(banner);
        wait_for_end(&mut stream);
    })
}

/// Reads until the other side closes.
pub(crate) fn wait_for_end(stream: &mut dyn Read) {
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes).is_ok_and(|n| n > 0) {}
}

/// Reads one line.
pub(crate) fn read_line(stream: &mut dyn Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

/// A port nobody listens on.
pub(crate) fn closed_port() -> u16 {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    // Kept, or a server of another test might get it.
    std::mem::forget(socket);
    port
}

/// A listener that drops what it gets: nobody accepts, and its backlog is full.
pub(crate) struct Dropping {
    pub(crate) address: SocketAddr,
    _held: (TcpListener, Vec<TcpStream>),
}

pub(crate) fn dropping() -> Dropping {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket.listen(1).unwrap().into_std().unwrap()
    });
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        held.push(stream);
        assert!(held.len() < 100, "the backlog does not fill up");
    }
    Dropping {
        address,
        _held: (listener, held),
    }
}
