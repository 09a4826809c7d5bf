//! A run, or one worker's part of it, as monitoring systems read it: named series with labels, made of how it stands, and the bytes that Prometheus
//! scrapes and OpenTelemetry's collectors are sent. Pure: who serves and sends them is `app`'s matter. Names are a promise, kept in `docs/telemetry.md`.

mod catalogue;
mod distribution;
mod families;
mod histograms;
mod negotiate;
mod otlp;
mod protobuf;
mod spans;
mod text;

pub use catalogue::{Def, Kind, catalogue};
pub use distribution::{Distribution, Native};
pub use families::{Family, Sample, Subject, Value, families};
pub use negotiate::Format;
pub use otlp::{Counted, metrics_message, rejected, spans_message};
pub use spans::Tracer;

/// The page that is scraped, in `format`.
pub fn page(subject: &Subject<'_>, standing: &crate::report::Standing, format: Format) -> Vec<u8> {
    let families = families(subject, standing);
    match format {
        Format::Text => text::classic(&families).into_bytes(),
        Format::OpenMetrics => text::open_metrics(&families).into_bytes(),
        Format::Protobuf => protobuf::delimited(&families),
    }
}

#[cfg(test)]
mod tests;
