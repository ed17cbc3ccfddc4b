//! Apache Kafka behind the log port.
