//! The configuration of a Kafka broker, as pairs of key and value: pure, and the same wherever the brokers run.

use std::fmt::Write as _;

/// Listener of the brokers among themselves, of the harness's own requests and of tools.
pub(crate) const BROKER: &str = "BROKER";
/// Listener of the KRaft controller.
pub(crate) const CONTROLLER: &str = "CONTROLLER";
/// Listener of the harness around the proxy on its own link, where it has one before [`BROKER`] can be reached.
pub(crate) const DIRECT: &str = "DIRECT";
/// Sixteen bytes in base64, as the storage tool wants it. Runs are told apart by their addresses and folders.
pub(crate) const CLUSTER_ID: &str = "YmFua3N0b3JtLWxvY2FsMQ";

/// One listener of one broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    /// As [`listener_name`] makes it.
    pub(crate) name: String,
    /// `host:port` that the broker opens.
    pub(crate) bind: String,
    /// `host:port` that it tells to clients of this listener.
    pub(crate) advertised: String,
}

/// A node that is broker and controller, in a cluster of such nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokerConfig {
    /// From 1 on.
    pub(crate) node_id: u32,
    /// Every node of the cluster and the `host:port` at which the others reach its controller.
    pub(crate) voters: Vec<(u32, String)>,
    /// `host:port` that this node's controller opens.
    pub(crate) controller_bind: String,
    /// The listener [`BROKER`] and one per client.
    pub(crate) listeners: Vec<Listener>,
    /// Folder of the data.
    pub(crate) data: String,
}

/// `channel-0` listens at `CHANNEL_0`.
pub(crate) fn listener_name(client: &str) -> String {
    client.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// `kafka-1`: name of the node, its log and its folder.
pub(crate) fn broker_name(node_id: u32) -> String {
    format!("kafka-{node_id}")
}

/// Copies of every partition in a cluster of that many brokers.
pub(crate) fn replication_factor(brokers: u32) -> u32 {
    if brokers >= 3 { 3 } else { 1 }
}

/// Copies that must hold a record before `acks=all` is answered: all but one, so that one broker may be away.
pub(crate) fn min_in_sync(brokers: u32) -> u32 {
    if brokers >= 3 { 2 } else { 1 }
}

/// The heap is small, as hundreds of records a second need no more; three brokers share the machine with everything else.
pub(crate) const fn heap(brokers: u32) -> [&'static str; 2] {
    if brokers == 1 { ["-Xms256m", "-Xmx512m"] } else { ["-Xms256m", "-Xmx256m"] }
}

/// The broker keeps the full compiler and the default collector, as an operator would run it, so that its figures under load are its own.
pub(crate) const TUNING: [&str; 1] = ["-XX:-UsePerfData"];

/// The properties of one node, in a fixed order.
pub(crate) fn properties(broker: &BrokerConfig) -> Vec<(&'static str, String)> {
    let joined = |all: Vec<String>| all.join(",");
    let each = |show: fn(&Listener) -> String| broker.listeners.iter().map(show).collect::<Vec<_>>().join(",");
    let voters = joined(broker.voters.iter().map(|(id, address)| format!("{id}@{address}")).collect());
    let opened = each(|listener| format!("{}://{}", listener.name, listener.bind));
    let protocols = each(|listener| format!("{}:PLAINTEXT", listener.name));
    let brokers = broker.voters.len() as u32;
    let (copies, in_sync) = (replication_factor(brokers).to_string(), min_in_sync(brokers).to_string());
    let mut properties = vec![
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", broker.node_id.to_string()),
        ("controller.quorum.voters", voters),
        ("controller.listener.names", CONTROLLER.to_owned()),
        ("inter.broker.listener.name", BROKER.to_owned()),
        ("listeners", format!("{CONTROLLER}://{},{opened}", broker.controller_bind)),
        ("advertised.listeners", each(|listener| format!("{}://{}", listener.name, listener.advertised))),
        ("listener.security.protocol.map", format!("{CONTROLLER}:PLAINTEXT,{protocols}")),
        ("log.dirs", broker.data.clone()),
        ("default.replication.factor", copies.clone()),
        ("min.insync.replicas", in_sync.clone()),
        ("offsets.topic.replication.factor", copies.clone()),
        ("transaction.state.log.replication.factor", copies),
        ("transaction.state.log.min.isr", in_sync),
    ];
    properties.extend(FIXED.iter().chain(FAILOVER).map(|(key, value)| (*key, (*value).to_owned())));
    properties
}

const FIXED: &[(&str, &str)] = &[
    // The default of 50 partitions is made when the first group joins, and would be most of that wait.
    ("offsets.topic.num.partitions", "4"),
    // Clients name topics that exist; a misspelt one must fail.
    ("auto.create.topics.enable", "false"),
    // A member that dies is noticed within its own session timeout, not within the default of at least 6 s.
    ("group.min.session.timeout.ms", "500"),
    ("group.initial.rebalance.delay.ms", "0"),
    // Each listener has threads of its own; the default of 3 for each of many listeners would outnumber the cores by far.
    ("num.network.threads", "2"),
    // Only the offsets topic is compacted; the default buffer is 128 MB of heap.
    ("log.cleaner.dedupe.buffer.size", "4194304"),
];

/// What a dead or frozen broker costs. The defaults let a partition stand without a leader for about 10 s, which is most of a fault.
const FAILOVER: &[(&str, &str)] = &[
    // A broker that says nothing for 3 s loses its leaderships (default 9 s); six heartbeats fit in (default 2 s between two), so that
    // a garbage collection or a busy machine does not count as death.
    ("broker.session.timeout.ms", "3000"),
    ("broker.heartbeat.interval.ms", "500"),
    // The active controller dies or freezes: the others vote after 1.5 s without it (default 2 s), and a vote that finds no winner is
    // repeated soon (defaults 1 s each). Less would make a busy machine change its controller without a fault.
    ("controller.quorum.fetch.timeout.ms", "1500"),
    ("controller.quorum.election.timeout.ms", "750"),
    ("controller.quorum.election.backoff.max.ms", "500"),
    // A request to a controller that is frozen is given up, and the next controller asked, after 3 s instead of 30 s: until then a
    // broker that comes back is not let into the set of those in sync.
    ("controller.socket.timeout.ms", "3000"),
    // A follower gives up a frozen leader of the past after 3 s instead of 30 s.
    ("replica.socket.timeout.ms", "3000"),
    // A copy that lags must never lead: what was acknowledged stays. This is the default, and every check relies on it.
    ("unclean.leader.election.enable", "false"),
];

/// `server.properties`.
pub(crate) fn as_file(properties: &[(&'static str, String)]) -> String {
    properties.iter().fold(String::new(), |mut text, (key, value)| {
        let _ = writeln!(text, "{key}={value}");
        text
    })
}

/// Log4j 2 configuration: everything to standard output, which is the process's log file.
pub(crate) fn log_properties() -> &'static str {
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

    fn broker(node_id: u32, voters: u32) -> BrokerConfig {
        let listener = |name: &str, port: u16| Listener {
            name: name.into(),
            bind: format!("0.0.0.0:{port}"),
            advertised: format!("{}:{port}", broker_name(node_id)),
        };
        BrokerConfig {
            node_id,
            voters: (1..=voters).map(|id| (id, format!("{}:9093", broker_name(id)))).collect(),
            controller_bind: "0.0.0.0:9093".into(),
            listeners: vec![listener(BROKER, 1_002), listener("CHANNEL_0", 1_004), listener("CORE", 1_003)],
            data: "/tmp/x/data".into(),
        }
    }

    fn value(all: &[(&'static str, String)], key: &str) -> String {
        all.iter().find(|(name, _)| *name == key).unwrap_or_else(|| panic!("{key} in {all:?}")).1.clone()
    }

    #[test]
    fn every_client_has_a_listener_of_its_own_which_may_be_advertised_elsewhere() {
        let all = properties(&broker(1, 1));
        assert_eq!(
            value(&all, "advertised.listeners"),
            "BROKER://kafka-1:1002,CHANNEL_0://kafka-1:1004,CORE://kafka-1:1003"
        );
        assert_eq!(
            value(&all, "listeners"),
            "CONTROLLER://0.0.0.0:9093,BROKER://0.0.0.0:1002,CHANNEL_0://0.0.0.0:1004,CORE://0.0.0.0:1003"
        );
        assert_eq!(value(&all, "controller.quorum.voters"), "1@kafka-1:9093");
        assert_eq!(
            value(&all, "listener.security.protocol.map"),
            "CONTROLLER:PLAINTEXT,BROKER:PLAINTEXT,CHANNEL_0:PLAINTEXT,CORE:PLAINTEXT"
        );
        assert!(as_file(&all).contains("\nlog.dirs=/tmp/x/data\n"), "{}", as_file(&all));
    }

    #[test]
    fn three_nodes_vote_together_and_one_of_them_may_be_away() {
        let all = properties(&broker(3, 3));
        assert_eq!(value(&all, "node.id"), "3");
        assert_eq!(value(&all, "controller.quorum.voters"), "1@kafka-1:9093,2@kafka-2:9093,3@kafka-3:9093");
        for (key, expected) in [
            ("default.replication.factor", "3"),
            ("min.insync.replicas", "2"),
            ("offsets.topic.replication.factor", "3"),
            ("transaction.state.log.replication.factor", "3"),
            ("transaction.state.log.min.isr", "2"),
            ("unclean.leader.election.enable", "false"),
        ] {
            assert_eq!(value(&all, key), expected, "{key}");
        }
        assert_eq!(value(&properties(&broker(1, 1)), "min.insync.replicas"), "1");
    }

    #[test]
    fn no_key_is_set_twice() {
        let all = properties(&broker(1, 3));
        let mut keys: Vec<_> = all.iter().map(|(key, _)| *key).collect();
        keys.sort_unstable();
        let before = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), before);
    }

    #[test]
    fn listener_names_keep_letters_and_digits_alone() {
        assert_eq!(listener_name("channel-0"), "CHANNEL_0");
        assert_eq!(listener_name("a.b_c"), "A_B_C");
    }
}
