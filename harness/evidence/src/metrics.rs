//! The services' `/metrics`: fetched with a limit, and read line by line.
//!
//! In: base addresses such as `http://127.0.0.1:8080`. Out: name (without the prefix `bankstorm_`, labels kept) -> value. Elsewhere: what
//! is counted (each service), the text (`adapters::process::registry`).

use std::collections::BTreeMap;
use std::time::Duration;

use bankstorm_record::marks::SampleRow;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one service may take to answer; it is asked on loopback each second.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);
/// The most that is read of one answer, in bytes.
const ANSWER_BYTES: u64 = 4 << 20;

/// How often each marker fired, summed over processes: asked now, and where a process does not answer (it was killed), as it was last
/// sampled. What fired between the last sample of a killed process and its end is not known. `processes` are names with their base
/// addresses, the names as in the samples.
pub async fn final_markers(processes: &[(String, String)], samples: &[SampleRow]) -> BTreeMap<String, u64> {
    let mut total = BTreeMap::new();
    for (process, url) in processes {
        let now = scrape(url).await.ok();
        let now = now.map(|metrics| markers(metrics.iter().map(|(name, value)| (name.as_str(), *value))));
        for (marker, count) in over_lives(sampled(process, samples).chain(now)) {
            *total.entry(marker).or_insert(0) += count;
        }
    }
    total
}

/// What was sampled of a process's markers, in order; nothing where it could not be asked.
fn sampled<'a>(process: &str, samples: &'a [SampleRow]) -> impl Iterator<Item = BTreeMap<String, u64>> + 'a {
    let prefix = format!("{process}.");
    let of_process = move |sample: &'a SampleRow| {
        let metrics = sample.metrics.iter();
        markers(metrics.filter_map(|(name, value)| Some((name.strip_prefix(prefix.as_str())?, *value))))
    };
    samples.iter().map(of_process).filter(|markers| !markers.is_empty())
}

/// A process that was started again counts from zero: a count that falls is a new life, and those before it are added up.
fn over_lives(looks: impl Iterator<Item = BTreeMap<String, u64>>) -> BTreeMap<String, u64> {
    let mut lives: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for look in looks {
        for (marker, count) in look {
            let (earlier, last) = lives.entry(marker).or_default();
            *earlier += if count < *last { *last } else { 0 };
            *last = count;
        }
    }
    lives.into_iter().map(|(marker, (earlier, last))| (marker, earlier + last)).collect()
}

fn markers<'a>(metrics: impl Iterator<Item = (&'a str, f64)>) -> BTreeMap<String, u64> {
    let marker = |name: &'a str| name.strip_prefix("marker_total{name=\"")?.strip_suffix("\"}");
    metrics.filter_map(|(name, value)| Some((marker(name)?.to_owned(), value as u64))).collect()
}

/// Fetches a process's metrics, by name with their labels; the error is a sentence.
///
/// # Errors
/// When the process cannot be reached, answers something else than 200, or takes too long.
pub async fn scrape(url: &str) -> Result<BTreeMap<String, f64>, String> {
    match timeout(ANSWER_LIMIT, get(url)).await {
        Ok(Ok(text)) => Ok(parse(&text)),
        Ok(Err(problem)) => Err(format!("{url}/metrics: {problem}")),
        Err(_) => Err(format!("limit of {url}/metrics hit: {ANSWER_LIMIT:?}")),
    }
}

async fn get(url: &str) -> Result<String, String> {
    let host = url.strip_prefix("http://").ok_or("the address does not begin with http://")?.trim_end_matches('/');
    let mut stream = TcpStream::connect(host).await.map_err(|error| error.to_string())?;
    // Version 1.0, so that the answer ends with the connection and is not chunked.
    let request = format!("GET /metrics HTTP/1.0\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer).await.map_err(|error| error.to_string())?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer has no end of its head")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    if status == "200" { Ok(body.to_owned()) } else { Err(format!("status {status:?}")) }
}

/// The lines `bankstorm_name{labels} value` of a Prometheus text.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let line = |line: &str| {
        let line = line.strip_prefix("bankstorm_")?;
        // A label's value may hold spaces, so the name ends with its labels.
        let end = line.find('}').map_or_else(|| line.find(' '), |brace| Some(brace + 1))?;
        let value = line[end..].split_whitespace().next()?.parse().ok()?;
        Some((line[..end].to_owned(), value))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bankstorm_record::marks::SampleRow;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::{final_markers, over_lives, parse};

    const TEXT: &str = "# HELP bankstorm_marker How often.\n# TYPE bankstorm_marker counter\n\
        bankstorm_marker_total{name=\"core-replay\"} 3\nbankstorm_marker_total{name=\"gap fill\"} 0\n\
        bankstorm_core_queue_depth 7\nother_total 1\n# EOF\n";

    #[test]
    fn own_metrics_are_read_with_their_labels() {
        let metrics = parse(TEXT);
        assert_eq!(metrics.len(), 3);
        assert_eq!(metrics["core_queue_depth"], 7.0);
        assert_eq!(metrics["marker_total{name=\"gap fill\"}"], 0.0);
    }

    /// Answers one request with `head` and the text.
    async fn answering(head: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        #[expect(clippy::disallowed_methods, reason = "a server for a test")]
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request).await.expect("a request");
            stream.write_all(format!("{head}\r\n\r\n{TEXT}").as_bytes()).await.expect("answered");
        });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn markers_are_summed_and_a_dead_process_counts_as_last_sampled() {
        let processes = [
            ("core".to_owned(), answering("HTTP/1.0 200 OK").await),
            ("channel-0".to_owned(), answering("HTTP/1.0 503 Service Unavailable").await),
        ];
        let sample = |count: f64| SampleRow {
            metrics: BTreeMap::from([
                ("channel-0.marker_total{name=\"core-replay\"}".to_owned(), count),
                ("channel-01.marker_total{name=\"core-replay\"}".to_owned(), 100.0),
            ]),
            ..SampleRow::default()
        };
        let markers = final_markers(&processes, &[sample(1.0), sample(2.0), SampleRow::default()]).await;
        assert_eq!(markers, BTreeMap::from([("core-replay".to_owned(), 5), ("gap fill".to_owned(), 0)]));
    }

    #[test]
    fn a_count_that_falls_is_another_life_of_the_process() {
        let look = |count: u64| BTreeMap::from([("relay-sent".to_owned(), count)]);
        assert_eq!(over_lives([3, 7, 2, 2, 5, 1].map(look).into_iter()), look(7 + 5 + 1));
    }
}
