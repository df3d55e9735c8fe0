//! A checker for tests: does what its arguments say, one after the other, and prints the code of each answer.
//!
//! ```text
//! post:BODY        reports BODY; again for a while as long as the answer is 410, as a client must on v3
//! post-next:FILE   reports the first line of FILE and takes it out
//! put:BODY         as post, with another method
//! plain:BODY       as post, with another content type
//! print:TEXT       prints TEXT
//! env              prints the environment
//! sleep:MS         sleeps
//! serve:ADDRESS    answers every request with its own address, and /file/PATH with 503 unless PATH exists; for ever
//! exit:CODE        ends at once
//! ```

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};
use std::{env, fs, io, process, thread};

/// How long answers 410 are not accepted.
const GONE: Duration = Duration::from_secs(3);

fn main() -> io::Result<()> {
    for argument in env::args().skip(1) {
        let (step, value) = argument.split_once(':').unwrap_or((&argument, ""));
        match step {
            "post" => report("POST", "application/json", value)?,
            "post-next" => report("POST", "application/json", &take_line(value)?)?,
            "put" => report("PUT", "application/json", value)?,
            "plain" => report("POST", "text/plain", value)?,
            "print" => println!("{value}"),
            "env" => env::vars().for_each(|(name, value)| println!("{name}={value}")),
            "sleep" => thread::sleep(Duration::from_millis(
                value.parse().map_err(io::Error::other)?,
            )),
            "serve" => serve(value)?,
            "exit" => process::exit(value.parse().map_err(io::Error::other)?),
            _ => return Err(io::Error::other(format!("unknown step {argument:?}"))),
        }
    }
    Ok(())
}

fn take_line(path: &str) -> io::Result<String> {
    let text = fs::read_to_string(path)?;
    let (line, rest) = text.split_once('\n').unwrap_or((&text, ""));
    fs::write(path, rest)?;
    Ok(line.to_owned())
}

fn report(method: &str, content_type: &str, body: &str) -> io::Result<()> {
    let url = env::var("KH_REPORTING_URL").map_err(io::Error::other)?;
    let uuid = env::var("KH_RUN_UUID").map_err(io::Error::other)?;
    let place = url.strip_prefix("http://").unwrap_or(&url);
    let (host, path) = place.split_once('/').unwrap_or((place, ""));
    let began = Instant::now();
    loop {
        let mut stream = TcpStream::connect(host)?;
        write!(
            stream,
            "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: {content_type}\r\n\
             kh-run-uuid: {uuid}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let code = answer.split(' ').nth(1).unwrap_or("none");
        println!("{code}");
        if code != "410" || began.elapsed() > GONE {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn serve(address: &str) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    for stream in listener.incoming() {
        let mut stream = stream?;
        let mut request = [0; 1024];
        let length = stream.read(&mut request).unwrap_or(0);
        let request = String::from_utf8_lossy(&request[..length]).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default();
        let present = path
            .strip_prefix("/file")
            .is_none_or(|path| fs::exists(path).unwrap_or(false));
        let status = if present {
            "200 OK"
        } else {
            "503 Service Unavailable"
        };
        // The other end may be gone.
        let _ = write!(
            stream,
            "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{address}",
            address.len()
        );
    }
    Ok(())
}
