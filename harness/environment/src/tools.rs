//! Finding the programs that a run needs, and their versions.
//!
//! In: PATH, JAVA_HOME, KAFKA_HOME, the usual folders of Debian, Ubuntu and Homebrew. Out: paths and versions, or an error that names the
//! package. Elsewhere: installing them (`deploy/setup.sh`), the list for people (`doctor`).

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::EnvironmentError;

/// Oldest major version of PostgreSQL that is used.
pub const POSTGRES_OLDEST: u32 = 15;
/// Oldest major version of Java that runs the broker.
pub const JAVA_OLDEST: u32 = 17;
/// The broker that `deploy/kafka/pom.xml` pins.
pub const KAFKA_VERSION: &str = "4.3.0";

/// `initdb` and `postgres`, which lie in one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Postgres {
    /// Folder of the programs.
    pub bin: PathBuf,
    /// As the program says it: `15.14`.
    pub version: String,
}

/// A Java runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Java {
    /// The program `java`.
    pub program: PathBuf,
    /// As the program says it: `17.0.15`.
    pub version: String,
}

/// The jars of a Kafka broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaJars {
    /// Folder that holds all of them.
    pub folder: PathBuf,
    /// From the broker's own jar: `4.3.0`.
    pub version: String,
}

/// A program that is only named and shown, not used by `local` itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Where it lies.
    pub program: PathBuf,
    /// First version-like word it prints.
    pub version: String,
}

/// The newest PostgreSQL that is new enough.
///
/// # Errors
/// None is installed, or all are too old.
pub fn postgres() -> Result<Postgres, EnvironmentError> {
    let mut found: Vec<(Vec<u32>, Postgres)> = postgres_folders()
        .into_iter()
        .filter(|bin| bin.join("initdb").is_file())
        .filter_map(|bin| {
            let version = version_in(&output(&bin.join("postgres"), &["--version"])?)?;
            Some((numbers(&version), Postgres { bin, version }))
        })
        .filter(|(numbers, _)| numbers.first().is_some_and(|major| *major >= POSTGRES_OLDEST))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found.pop().map(|(_, newest)| newest).ok_or_else(|| EnvironmentError::Missing {
        what: format!("PostgreSQL {POSTGRES_OLDEST} or newer (initdb, postgres)"),
        looked_in: "PATH, pg_config --bindir, /usr/lib/postgresql, Homebrew".into(),
        install: install("postgresql", "postgresql@17"),
    })
}

fn postgres_folders() -> Vec<PathBuf> {
    let mut folders = path_folders();
    if let Some(bin) = output(Path::new("pg_config"), &["--bindir"]) {
        folders.push(PathBuf::from(bin.trim()));
    }
    folders.extend(children("/usr/lib/postgresql").into_iter().map(|version| version.join("bin")));
    for prefix in ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"] {
        let formulas = children(prefix).into_iter().filter(|formula| file_name(formula).starts_with("postgresql"));
        folders.extend(formulas.map(|formula| formula.join("bin")));
    }
    folders
}

/// A Java runtime that is new enough.
///
/// # Errors
/// None is installed, or all are too old.
pub fn java() -> Result<Java, EnvironmentError> {
    let mut candidates: Vec<PathBuf> =
        std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java")).into_iter().collect();
    candidates.extend(path_folders().into_iter().map(|folder| folder.join("java")));
    candidates.extend(children("/usr/lib/jvm").into_iter().map(|home| home.join("bin/java")));
    for prefix in ["/opt/homebrew/opt", "/usr/local/opt"] {
        let formulas = children(prefix).into_iter().filter(|formula| file_name(formula).starts_with("openjdk"));
        candidates.extend(formulas.map(|formula| formula.join("bin/java")));
    }
    candidates
        .into_iter()
        .filter(|program| program.is_file())
        .filter_map(|program| {
            let version = java_version(&output(&program, &["-version"])?)?;
            Some(Java { program, version })
        })
        .find(|java| java_major(&java.version) >= JAVA_OLDEST)
        .ok_or_else(|| EnvironmentError::Missing {
            what: format!("a Java runtime, {JAVA_OLDEST} or newer"),
            looked_in: "JAVA_HOME, PATH, /usr/lib/jvm, Homebrew".into(),
            install: install("default-jre-headless", "openjdk@17"),
        })
}

/// The broker's jars: `KAFKA_HOME/libs` when that is set, else the cache folder that `make setup` fills.
///
/// # Errors
/// The folder holds no broker.
pub fn kafka_jars() -> Result<KafkaJars, EnvironmentError> {
    let folder = match std::env::var_os("KAFKA_HOME").filter(|home| !home.is_empty()) {
        Some(home) => PathBuf::from(home).join("libs"),
        None => kafka_cache(),
    };
    let version = children(&folder).iter().find_map(|jar| broker_version(&file_name(jar)));
    version.map(|version| KafkaJars { folder: folder.clone(), version }).ok_or_else(|| EnvironmentError::Missing {
        what: format!("Apache Kafka (kafka_2.13-{KAFKA_VERSION}.jar and the jars it needs)"),
        looked_in: folder.display().to_string(),
        install: "make setup (by Maven), or set KAFKA_HOME to an unpacked Kafka".into(),
    })
}

/// `$XDG_CACHE_HOME/bankstorm/kafka-<version>/libs`, else under `~/.cache`.
#[must_use]
pub fn kafka_cache() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join(format!("bankstorm/kafka-{KAFKA_VERSION}/libs"))
}

/// The Redis server in PATH.
///
/// # Errors
/// It is not there.
pub fn redis() -> Result<Tool, EnvironmentError> {
    in_path("redis-server").ok_or_else(|| EnvironmentError::Missing {
        what: "Redis (redis-server)".into(),
        looked_in: "PATH".into(),
        install: install("redis-server", "redis"),
    })
}

/// `name` in PATH, with the version that `name --version` prints.
#[must_use]
pub fn in_path(name: &str) -> Option<Tool> {
    let program = path_folders().into_iter().map(|folder| folder.join(name)).find(|program| program.is_file())?;
    let version = output(&program, &["--version"]).and_then(|text| version_in(&text)).unwrap_or_default();
    Some(Tool { program, version })
}

/// The command that installs a package on this kind of machine.
pub(crate) fn install(debian: &str, homebrew: &str) -> String {
    if cfg!(target_os = "macos") { format!("brew install {homebrew}") } else { format!("apt-get install {debian}") }
}

fn path_folders() -> Vec<PathBuf> {
    std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default()
}

fn children(folder: impl AsRef<Path>) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What a program prints when asked for its version, on whichever stream.
fn output(program: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(std::process::Stdio::null()).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    output.status.success().then(|| String::from_utf8_lossy(&text).into_owned())
}

/// The first word that looks like a version: `15.14` of `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn version_in(text: &str) -> Option<String> {
    let numeric = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let word =
        text.split(|c: char| c.is_whitespace() || c == '=').map(|word| word.trim_start_matches('v')).find(numeric)?;
    let end = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
    Some(word[..end].trim_end_matches('.').to_owned())
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

/// The quoted version of `java -version`: `17.0.15` of `openjdk version "17.0.15" 2025-04-15`.
fn java_version(text: &str) -> Option<String> {
    Some(text.split('"').nth(1)?.to_owned())
}

/// `1.8.0_292` is 8, `17.0.15` and `21-ea` are what they say.
fn java_major(version: &str) -> u32 {
    let mut parts = version.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
    match (parts.next(), parts.next()) {
        (Some(1), Some(old)) => old,
        (Some(major), _) => major,
        (None, _) => 0,
    }
}

/// `4.3.0` of `kafka_2.13-4.3.0.jar`.
fn broker_version(jar: &str) -> Option<String> {
    let version = jar.strip_prefix("kafka_2.13-")?.strip_suffix(".jar")?;
    version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_programs_print() {
        let check = |text: &str, expected: &str| assert_eq!(version_in(text).as_deref(), Some(expected), "{text}");
        check("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n", "15.14");
        check("postgres (PostgreSQL) 18beta1", "18");
        check("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64 build=d81b8ff71cfb150e", "7.0.15");
        check("Apache Maven 3.8.7\nMaven home: /usr/share/maven", "3.8.7");
        assert_eq!(version_in("no version here"), None);
    }

    #[test]
    fn newest_means_the_largest_numbers_not_letters() {
        assert!(numbers("9.6") < numbers("15.4") && numbers("15.4") < numbers("15.14"));
    }

    #[test]
    fn java_versions_old_and_new() {
        let text = "openjdk version \"17.0.15\" 2025-04-15\nOpenJDK Runtime Environment";
        assert_eq!(java_version(text).as_deref(), Some("17.0.15"));
        assert_eq!(java_major("17.0.15"), 17);
        assert_eq!(java_major("1.8.0_292"), 8);
        assert_eq!(java_major("21-ea"), 21);
        assert_eq!(java_major(""), 0);
    }

    #[test]
    fn the_brokers_jar_tells_its_version() {
        assert_eq!(broker_version("kafka_2.13-4.3.0.jar").as_deref(), Some("4.3.0"));
        assert_eq!(broker_version("kafka-clients-4.3.0.jar"), None);
        assert_eq!(broker_version("kafka_2.13-sources.jar"), None);
    }
}
