//! The broker's configuration as text: pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Listener of the broker itself, of the harness and of tools.
pub(super) const BROKER: &str = "BROKER";
/// Listener of the KRaft controller.
pub(super) const CONTROLLER: &str = "CONTROLLER";
/// Sixteen bytes in base64, as the storage tool wants it. Runs are told apart by their ports and folders.
pub(super) const CLUSTER_ID: &str = "YmFua3N0b3JtLWxvY2FsMQ";

/// Ports of one broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) controller: u16,
    pub(super) broker: u16,
    /// Client name to port.
    pub(super) clients: BTreeMap<String, u16>,
}

/// `channel-0` listens at `CHANNEL_0`.
pub(super) fn listener_name(client: &str) -> String {
    client.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// `server.properties` of a single node that is broker and controller.
pub(super) fn server_properties(ports: &Ports, logs: &Path) -> String {
    let mut named = vec![(BROKER.to_owned(), ports.broker)];
    named.extend(ports.clients.iter().map(|(client, port)| (listener_name(client), *port)));
    let addresses: Vec<String> = named.iter().map(|(name, port)| format!("{name}://127.0.0.1:{port}")).collect();
    let advertised = addresses.join(",");
    let controller = format!("127.0.0.1:{}", ports.controller);
    let protocols: Vec<String> = named.iter().map(|(name, _)| format!("{name}:PLAINTEXT")).collect();

    let mut text = String::new();
    let mut set = |key: &str, value: &str| {
        let _ = writeln!(text, "{key}={value}");
    };
    set("process.roles", "broker,controller");
    set("node.id", "1");
    set("controller.quorum.voters", &format!("1@{controller}"));
    set("controller.listener.names", CONTROLLER);
    set("inter.broker.listener.name", BROKER);
    set("listeners", &format!("{CONTROLLER}://{controller},{advertised}"));
    set("advertised.listeners", &advertised);
    set("listener.security.protocol.map", &format!("{CONTROLLER}:PLAINTEXT,{}", protocols.join(",")));
    set("log.dirs", &logs.display().to_string());
    // One node holds one copy of everything.
    set("offsets.topic.replication.factor", "1");
    set("transaction.state.log.replication.factor", "1");
    set("transaction.state.log.min.isr", "1");
    // The default of 50 partitions is made when the first group joins, and would be most of that wait.
    set("offsets.topic.num.partitions", "4");
    // Clients name topics that exist; a misspelt one must fail.
    set("auto.create.topics.enable", "false");
    // A member that dies is noticed within its own session timeout, not within the default of at least 6 s.
    set("group.min.session.timeout.ms", "500");
    set("group.initial.rebalance.delay.ms", "0");
    // Each listener has threads of its own; the default of 3 for each of many listeners would outnumber the cores by far.
    set("num.network.threads", "2");
    // Only the offsets topic is compacted; the default buffer is 128 MB of heap.
    set("log.cleaner.dedupe.buffer.size", "4194304");
    text
}

/// Log4j 2 configuration: everything to standard output, which is the process's log file.
pub(super) fn log_properties() -> &'static str {
    "status=warn\n\
     appender.out.type=Console\n\
     appender.out.name=out\n\
     appender.out.layout.type=PatternLayout\n\
     appender.out.layout.pattern=[%d] %p %m (%c)%n\n\
     rootLogger.level=INFO\n\
     rootLogger.appenderRef.out.ref=out\n\
     logger.config.name=org.apache.kafka.common.config\n\
     logger.config.level=WARN\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_has_an_advertised_listener_of_its_own() {
        let ports = Ports {
            controller: 1_001,
            broker: 1_002,
            clients: BTreeMap::from([("core".into(), 1_003), ("channel-0".into(), 1_004)]),
        };
        let text = server_properties(&ports, Path::new("/tmp/x/data"));
        let line = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(&format!("{key}=")))
                .unwrap_or_else(|| panic!("{key} in {text}"))
        };
        let clients = "BROKER://127.0.0.1:1002,CHANNEL_0://127.0.0.1:1004,CORE://127.0.0.1:1003";
        assert_eq!(line("advertised.listeners"), clients);
        assert_eq!(line("listeners"), format!("CONTROLLER://127.0.0.1:1001,{clients}"));
        assert_eq!(line("controller.quorum.voters"), "1@127.0.0.1:1001");
        assert_eq!(
            line("listener.security.protocol.map"),
            "CONTROLLER:PLAINTEXT,BROKER:PLAINTEXT,CHANNEL_0:PLAINTEXT,CORE:PLAINTEXT"
        );
        assert_eq!(line("inter.broker.listener.name"), "BROKER");
        assert_eq!(line("log.dirs"), "/tmp/x/data");
        assert_eq!(line("node.id"), "1");
    }

    #[test]
    fn listener_names_keep_letters_and_digits_alone() {
        assert_eq!(listener_name("channel-0"), "CHANNEL_0");
        assert_eq!(listener_name("a.b_c"), "A_B_C");
    }
}
