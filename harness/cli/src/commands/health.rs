//! `health URL`: exit code 0 when the address answers 200. For health checks of images that hold no HTTP client.
//!
//! In: `http://host:port/path`. Out: an exit code. Elsewhere: what is healthy (each service).

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::error::CliError;

/// For connecting and for each read.
const LIMIT: Duration = Duration::from_secs(3);

/// Asks once.
pub(crate) fn run(url: &str) -> Result<u8, CliError> {
    let split = url.strip_prefix("http://").and_then(|rest| rest.split_once('/'));
    let Some((host, path)) = split else {
        return Err(CliError::Usage(format!("health {url}: accepted is http://host:port/path")));
    };
    match ask(host, path) {
        Ok(status) if status.split(' ').nth(1) == Some("200") => Ok(0),
        Ok(status) => Err(CliError::Environment(format!("{url} answers {status:?}"))),
        Err(error) => Err(CliError::Environment(format!("{url}: {error}"))),
    }
}

/// The first bytes of the answer, which hold its status.
fn ask(host: &str, path: &str) -> std::io::Result<String> {
    let address = host.to_socket_addrs()?.next().ok_or(std::io::ErrorKind::AddrNotAvailable)?;
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(stream, "GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
    let mut status = [0_u8; 12];
    stream.read_exact(&mut status)?;
    Ok(String::from_utf8_lossy(&status).into_owned())
}
