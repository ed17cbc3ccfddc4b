//! The container engine: where it is, whether it answers, and what its refusals mean.
//!
//! In: `DOCKER_HOST`, or the usual sockets. Out: a client, and an [`EnvironmentError`] that names the address and the remedy. The address is
//! looked for exactly as testcontainers does, which starts the containers: both must speak to the same engine.

use std::error::Error as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use testcontainers_modules::testcontainers::bollard::{API_DEFAULT_VERSION, Docker, errors::Error};

use crate::EnvironmentError;

/// For the first answer of an engine, which does nothing for it.
const ANSWER: Duration = Duration::from_secs(3);
/// For a request that takes no time unless the engine hangs: a look, a signal, a change of the network.
pub(super) const SMALL: Duration = Duration::from_secs(8);
/// For the removal of one container while others are removed too.
pub(super) const REMOVAL: Duration = Duration::from_secs(20);
/// For any other request; most have limits of their own below it.
const REQUEST: Duration = Duration::from_secs(60);

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// An engine that answers.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) docker: Docker,
    /// `unix:///var/run/docker.sock`.
    pub(crate) address: String,
    /// `20.10.24`.
    pub(crate) version: String,
    /// `1.41`.
    pub(crate) api: String,
    /// `linux/amd64`: what it can run.
    pub(crate) platform: String,
    /// `overlay2`.
    pub(crate) storage: String,
}

impl Engine {
    /// Asks the engine at [`address`] for its version.
    pub(crate) async fn find() -> Result<Self, EnvironmentError> {
        let address = address();
        let docker = client(&address)?;
        let ask = async { tokio::try_join!(docker.version(), docker.info()) };
        let (version, info) = match tokio::time::timeout(ANSWER, ask).await {
            Ok(answer) => answer.map_err(|error| refused(&address, &error))?,
            Err(_) => return Err(no_engine(&address, format!("no answer within {} s", ANSWER.as_secs()))),
        };
        let (os, arch) = (version.os.unwrap_or_default(), version.arch.unwrap_or_default());
        Ok(Self {
            docker,
            address,
            version: version.version.unwrap_or_default(),
            api: version.api_version.unwrap_or_default(),
            platform: format!("{os}/{arch}"),
            storage: info.driver.unwrap_or_default(),
        })
    }

    /// The answer to a request; what the engine says of a refusal, or that it did not answer in time and what to try.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, String> {
        match tokio::time::timeout(limit, request).await {
            Ok(answer) => answer.map_err(|error| words(&error)),
            Err(_) => Err(silent(&self.address, limit)),
        }
    }
}

/// An engine that is there and does not answer.
pub(crate) fn silent(address: &str, limit: Duration) -> String {
    format!(
        "the engine at {address} did not answer within {} s: see whether `docker ps` answers there; if it hangs too, restart the engine \
         (`systemctl restart docker`)",
        limit.as_secs()
    )
}

/// `DOCKER_HOST`, else the first socket that exists, else the usual one.
pub(crate) fn address() -> String {
    if let Ok(address) = std::env::var("DOCKER_HOST") {
        return address;
    }
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|folder| folder.is_absolute());
    let (run, home) = (folder("XDG_RUNTIME_DIR"), folder("HOME"));
    let places = [
        Some(PathBuf::from(DEFAULT_SOCKET)),
        run.map(|run| run.join(".docker/run/docker.sock")),
        home.as_ref().map(|home| home.join(".docker/run/docker.sock")),
        home.as_ref().map(|home| home.join(".docker/desktop/docker.sock")),
    ];
    let found = places.into_iter().flatten().find(|place| place.exists());
    format!("unix://{}", found.unwrap_or_else(|| DEFAULT_SOCKET.into()).display())
}

/// Whether there is any sense in asking: a socket that is not there answers nobody. Costs one look at a file.
pub(crate) fn may_answer(address: &str) -> bool {
    address.strip_prefix("unix://").is_none_or(|socket| Path::new(socket).exists())
}

/// A client of the engine at `address`; connects with its first request.
pub(crate) fn client(address: &str) -> Result<Docker, EnvironmentError> {
    let seconds = REQUEST.as_secs();
    let client = match address.split_once("://") {
        Some(("unix", _)) => Docker::connect_with_unix(address, seconds, API_DEFAULT_VERSION),
        // Pinned ports lie on the loopback of the machine that runs the engine, and folders are mounted from its disk.
        Some(("tcp" | "http", host)) if on_this_machine(host) => {
            Docker::connect_with_http(address, seconds, API_DEFAULT_VERSION)
        }
        _ => {
            let reason =
                "only an engine on this machine can be used: unix:///path, or tcp://127.0.0.1:port without TLS";
            return Err(no_engine(address, reason.into()));
        }
    };
    client.map_err(|error| refused(address, &error))
}

fn on_this_machine(host: &str) -> bool {
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    matches!(host, "127.0.0.1" | "localhost" | "[::1]")
}

/// What a failed first request says about the engine.
fn refused(address: &str, error: &Error) -> EnvironmentError {
    match io_kind(error) {
        Some(ErrorKind::PermissionDenied) => EnvironmentError::EngineDenied { address: address.to_owned() },
        Some(ErrorKind::ConnectionRefused) => no_engine(address, "connection refused".into()),
        Some(ErrorKind::NotFound) => no_engine(address, "no such socket".into()),
        _ => match error {
            Error::SocketNotFoundError(_) => no_engine(address, "no such socket".into()),
            other => no_engine(address, other.to_string()),
        },
    }
}

fn no_engine(address: &str, reason: String) -> EnvironmentError {
    let chosen = if std::env::var_os("DOCKER_HOST").is_some() { "DOCKER_HOST" } else { "the default" };
    EnvironmentError::NoEngine { address: address.to_owned(), chosen, reason }
}

/// The operating system's error below an error of the client.
fn io_kind(error: &Error) -> Option<ErrorKind> {
    if let Error::IOError { err } = error {
        return Some(err.kind());
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

/// Whether nobody answers at the engine's address, or not this user.
pub(crate) fn is_absent_or_closed(error: &Error) -> bool {
    let absent = [ErrorKind::PermissionDenied, ErrorKind::ConnectionRefused, ErrorKind::NotFound];
    matches!(error, Error::SocketNotFoundError(_)) || io_kind(error).is_some_and(|kind| absent.contains(&kind))
}

/// Whether the engine says that a thing is not there.
pub(crate) fn is_absent(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

/// An [`EnvironmentError::Engine`] from what the engine answered.
pub(crate) fn failed(doing: impl Into<String>) -> impl FnOnce(Error) -> EnvironmentError {
    let doing = doing.into();
    move |error| EnvironmentError::Engine { doing, reason: words(&error) }
}

/// The engine's own words.
pub(crate) fn words(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } | Error::DockerStreamError { error: message } => {
            message.clone()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io(kind: ErrorKind) -> Error {
        Error::IOError { err: kind.into() }
    }

    #[test]
    fn a_socket_of_somebody_else_is_not_an_absent_engine() {
        let denied = refused("unix:///x", &io(ErrorKind::PermissionDenied)).to_string();
        assert!(denied.contains("unix:///x") && denied.contains("group docker"), "{denied}");
        let stopped = refused("unix:///x", &io(ErrorKind::ConnectionRefused)).to_string();
        assert!(stopped.contains("connection refused") && stopped.contains("systemctl start docker"), "{stopped}");
    }

    #[test]
    fn only_engines_of_this_machine_are_used() {
        assert!(client("tcp://127.0.0.1:2375").is_ok());
        for elsewhere in ["tcp://10.0.0.1:2375", "ssh://there", "npipe:////./pipe/docker_engine", "docker.sock"] {
            let error = client(elsewhere).map(|_| ()).expect_err(elsewhere).to_string();
            assert!(error.contains(elsewhere) && error.contains("on this machine"), "{error}");
        }
        let absent = client("unix:///no/such/socket").map(|_| ()).expect_err("absent").to_string();
        assert!(absent.contains("no such socket"), "{absent}");
        assert!(!may_answer("unix:///no/such/socket"));
    }
}
