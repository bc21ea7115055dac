//! OTLP: what a collector gets, and what happens without one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric, number_data_point};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::support::{Client, Request, Server, wait_for, wait_until};

/// What came, by path.
#[derive(Default)]
struct Got {
    metrics: Vec<ExportMetricsServiceRequest>,
    traces: Vec<ExportTraceServiceRequest>,
    status: u16,
}

/// A collector, as small as one can be.
struct Collector {
    address: SocketAddr,
    got: Arc<Mutex<Got>>,
}

impl Collector {
    fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let got = Arc::new(Mutex::new(Got { status: 200, ..Got::default() }));
        let shared = Arc::clone(&got);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (socket, got) = (socket.expect("a connection"), Arc::clone(&shared));
                std::thread::spawn(move || while answer(&socket, &got).is_some() {});
            }
        });
        Collector { address, got }
    }

    fn flag(&self) -> String {
        format!("--otlp-endpoint=http://{}/base", self.address)
    }

    /// The newest export of metrics that satisfies a condition.
    fn metrics(&self, what: &str, wanted: impl Fn(&[Metric]) -> bool) -> (Resource, Vec<Metric>) {
        wait_for(what, || {
            let got = self.got.lock().expect("no panic");
            let of_resource = &got.metrics.last()?.resource_metrics[0];
            let metrics = &of_resource.scope_metrics[0].metrics;
            let resource = of_resource.resource.clone().expect("a resource");
            wanted(metrics).then(|| (resource, metrics.clone()))
        })
    }

    fn spans(&self) -> Vec<Span> {
        let got = self.got.lock().expect("no panic");
        let of_resource = got.traces.iter().flat_map(|request| &request.resource_spans);
        let of_scope = of_resource.flat_map(|spans| &spans.scope_spans);
        of_scope.flat_map(|spans| spans.spans.clone()).collect()
    }
}

/// One request; `None` at the end of the connection.
fn answer(mut socket: &TcpStream, got: &Mutex<Got>) -> Option<()> {
    let mut input = BufReader::new(socket.try_clone().ok()?);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_ascii_lowercase()),
        }
    }
    let field = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name));
    let length: usize = field("content-length: ")?.parse().ok()?;
    assert_eq!(field("content-type: "), Some("application/x-protobuf"));
    let mut body = vec![0; length];
    input.read_exact(&mut body).ok()?;
    let mut got = got.lock().expect("no panic");
    match lines[0].split(' ').nth(1)? {
        "/base/v1/metrics" => got.metrics.push(Message::decode(&body[..]).expect("metrics")),
        "/base/v1/traces" => got.traces.push(Message::decode(&body[..]).expect("spans")),
        other => panic!("{other}"),
    }
    let head = format!("HTTP/1.1 {} X\r\ncontent-length: 0\r\n\r\n", got.status);
    socket.write_all(head.as_bytes()).ok()
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn number(attributes: &[KeyValue], key: &str) -> Option<i64> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::IntValue(number) => Some(*number),
        _ => None,
    }
}

/// The sum of a counter over its points with this attribute.
fn sum(metrics: &[Metric], name: &str, attribute: (&str, &str)) -> f64 {
    let found = metrics.iter().find(|metric| metric.name == name);
    let Some(metric::Data::Sum(sum)) = found.and_then(|metric| metric.data.as_ref()) else {
        return 0.0;
    };
    assert!(sum.is_monotonic);
    let points = sum.data_points.iter();
    let points = points.filter(|point| text(&point.attributes, attribute.0) == Some(attribute.1));
    let values = points.map(|point| match point.value {
        Some(number_data_point::Value::AsDouble(value)) => value,
        other => panic!("{other:?}"),
    });
    values.sum()
}

#[test]
fn metrics_reach_a_collector() {
    let collector = Collector::start();
    let server = Server::start_configured(
        "[telemetry]\ninterval = '100ms'\nservice_name = 'streams'\n",
        &[&collector.flag(), "--cores=2"],
    );
    server.put("a", "text/plain", "x").expect_status(201);
    for _ in 0..3 {
        server.post("a", "text/plain", "12345").expect_status(204);
    }
    let appends = |metrics: &[Metric]| sum(metrics, "thalweg_requests", ("operation", "append"));
    let (resource, metrics) = collector.metrics("the appends", |metrics| appends(metrics) == 3.0);
    assert_eq!(text(&resource.attributes, "service.name"), Some("streams"));
    assert_eq!(text(&resource.attributes, "service.version"), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(
        text(&resource.attributes, "service.instance.id"),
        Some(server.address().to_string().as_str())
    );
    let find = |name: &str| metrics.iter().find(|metric| metric.name == name).expect(name);
    let took = find("thalweg_append_duration_seconds");
    assert_eq!(took.unit, "s");
    let Some(metric::Data::Histogram(histogram)) = &took.data else { panic!("{took:?}") };
    let counts = histogram.data_points.iter().map(|point| {
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
        assert!(point.start_time_unix_nano <= point.time_unix_nano);
        point.count
    });
    assert_eq!(counts.sum::<u64>(), 3);
    assert!(matches!(&find("thalweg_ready").data, Some(metric::Data::Gauge(_))));
}

#[test]
fn spans_follow_their_clients() {
    let collector = Collector::start();
    let mut server =
        Server::start_configured("[telemetry]\ntrace_sample = 1.0\n", &[&collector.flag()]);
    let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let put = Request::put("a").with("content-type", "text/plain").body("x");
    let sampled = put.clone().with("traceparent", format!("00-{trace}-{parent}-01"));
    server.ask(&sampled).expect_status(201);
    // Not recorded by whoever began the trace, so not by us.
    server.ask(&put.with("traceparent", format!("00-{trace}-{parent}-00"))).expect_status(200);
    server.get("none").expect_status(404);
    // What waits is sent before the end.
    server.stop();
    let spans = collector.spans();
    assert_eq!(spans.len(), 2, "{spans:?}");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (create, read) = (&spans[0], &spans[1]);
    assert_eq!((hex(&create.trace_id), hex(&create.parent_span_id)), (trace.into(), parent.into()));
    assert_eq!(create.name, "PUT create");
    assert_eq!(number(&create.attributes, "http.response.status_code"), Some(201));
    assert_eq!(text(&create.attributes, "url.path"), Some("/v1/stream/a"));
    assert_eq!(text(&create.attributes, "client.address"), Some("127.0.0.1"));
    assert!(create.start_time_unix_nano <= create.end_time_unix_nano);
    assert_eq!((create.span_id.len(), read.trace_id.len()), (8, 16));
    assert!(read.parent_span_id.is_empty() && hex(&read.trace_id) != trace);
    assert_eq!(text(&read.attributes, "error.type"), Some("stream-not-found"));
}

#[test]
fn a_collector_that_fails_is_told_of_once() {
    let collector = Collector::start();
    collector.got.lock().expect("no panic").status = 503;
    let server = Server::start_configured(
        "[telemetry]\ninterval = '100ms'\n",
        &[&collector.flag(), "--admin=127.0.0.1:0"],
    );
    let count = |result: &str| {
        let text = Client::connect(server.admin()).ask(&Request::get("/metrics")).text();
        let series =
            format!("thalweg_otlp_exports_total{{signal=\"metrics\",result=\"{result}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(series.as_str()));
        value.and_then(|value| value.parse::<f64>().ok()).expect("a number")
    };
    wait_until("several failures", || count("failed") >= 3.0);
    assert_eq!(server.log().matches("the OTLP collector takes nothing").count(), 1);
    server.put("a", "text/plain", "x").expect_status(201);
    collector.got.lock().expect("no panic").status = 200;
    wait_until("it works again", || server.log().contains("takes data again"));
    wait_until("successes", || count("ok") >= 1.0);
}
