//! The manifests of deploy/kubernetes, held against a host that runs as they say: what they ask it, it answers.

use anyhow::{Context, Result};
use hive_tests::{Broker, HostProcess, eventually, guest, scratch, workspace};
use serde_json::Value;

/// What a host needs to close its connections when its deliveries are finished.
const CLOSING: u64 = 10;

fn manifest(name: &str) -> Result<String> {
    let file = workspace().join("deploy/kubernetes").join(name);
    Ok(std::fs::read_to_string(file)?)
}

/// The texts behind `key:`, as far as the next sign that ends a value.
fn values<'a>(manifest: &'a str, key: &str) -> Vec<&'a str> {
    let key = format!("{key}: ");
    let found = manifest.split(&*key).skip(1);
    let ends = |c: char| c == '\n' || c == ',' || c == '}' || c.is_whitespace();
    found
        .filter_map(|rest| rest.split(ends).next())
        .map(|value| value.trim_matches('"'))
        .collect()
}

/// The hive.toml of the ConfigMap.
fn hive_toml(manifest: &str) -> Result<String> {
    let (_, rest) = manifest
        .split_once("  hive.toml: |\n")
        .context("there is no ConfigMap")?;
    let lines = rest.lines().take_while(|line| !line.starts_with("---"));
    let lines = lines.map(|line| line.strip_prefix("    ").unwrap_or(line));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_chart_is_of_the_hosts_version() -> Result<()> {
    let chart = workspace().join("deploy/helm/hive/Chart.yaml");
    let chart = std::fs::read_to_string(chart)?;
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        chart.contains(&format!("\nversion: {version}\n")),
        "{chart}"
    );
    assert!(chart.contains(&format!("\nappVersion: \"{version}\"\n")));
    Ok(())
}

#[tokio::test]
async fn a_host_answers_everything_that_the_manifests_ask() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("manifests").await?;
    let hive = manifest("hive.yaml")?;
    let folder = scratch("manifests");
    // The Secret is a file, and its name is all that a variable has.
    let secret = folder.join("broker-url");
    std::fs::write(&secret, vhost.url())?;
    let toml = hive_toml(&hive)?
        .replace("/etc/hive/orders.wasm", &guest("ack").to_string_lossy())
        .replace("0.0.0.0:9191", "127.0.0.1:0");
    let file = folder.join("hive.toml");
    std::fs::write(&file, toml)?;

    let after = |name: &str| -> Result<&str> {
        let (_, rest) = hive
            .rsplit_once(&format!("name: {name}, value: "))
            .with_context(|| format!("no variable {name}"))?;
        Ok(rest.split([' ', '}']).next().unwrap_or_default())
    };
    let drain = after("HIVE_DRAIN")?;
    let seconds: u64 = drain.trim_end_matches('s').parse()?;
    let grace = values(&hive, "terminationGracePeriodSeconds");
    assert_eq!(grace, [(seconds + CLOSING).to_string()]);
    assert!(after("BROKER_URL")?.contains("file:/run/secrets/"));
    for refused in ["readOnlyRootFilesystem: true", "runAsNonRoot: true"] {
        assert!(hive.contains(refused), "{refused} is missing");
    }

    let variables = [
        ("BROKER_URL", &*format!("file:{}", secret.display())),
        ("HIVE_DRAIN", drain),
        ("HIVE_LOG_FORMAT", after("HIVE_LOG_FORMAT")?),
        ("STATE_DIRECTORY", &folder.to_string_lossy()),
    ];
    let mut host = HostProcess::launch_file(&file, &variables)?;
    host.wait_for_start_of("orders").await?;
    let monitor = manifest("servicemonitor.yaml")?;
    let asked = [values(&hive, "path"), values(&monitor, "path")].concat();
    assert_eq!(asked, ["/livez", "/readyz", "/metrics"]);
    for path in asked {
        let look = async || Ok(host.admin(path).await?.status);
        eventually(&format!("{path} is answered"), look, |status| {
            *status == 200
        })
        .await?;
    }

    let scaled = manifest("scaledobject.yaml")?;
    let url = values(&scaled, "url");
    let (_, path) = url[0].split_once(":9191").context("another port")?;
    let number = values(&scaled, "valueLocation")[0].to_owned();
    let look = async || -> Result<Value> {
        let body = host.admin(path).await?.body;
        Ok(serde_json::from_str::<Value>(&body)?[&number].clone())
    };
    eventually("KEDA finds a number", look, Value::is_u64).await?;
    host.stop().await
}
