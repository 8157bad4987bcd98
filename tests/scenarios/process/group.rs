//! Hosts with one `host.group`: they find one another through the broker, and each shows which of them is home of which
//! queue.

use anyhow::{Context, Result, ensure};
use hive_tests::{
    Broker, HiveToml, HostProcess, Message, User, Vhost, eventually, run_to_end, scratch,
};
use serde_json::Value;

use super::placement::{command, ended, host, hosts, letters, moves_back, single, wait_for_ended};

const EXCHANGE: &str = "hive.hosts.shop";

/// One consumer of `letters`, on one host of the group at a time.
fn grouped() -> HiveToml {
    grouped_as("shop")
}

fn grouped_as(group: &str) -> HiveToml {
    let keys = format!("group = \"{group}\"\nlog = \"info,hive=debug\"");
    single("", "").host(&keys)
}

/// The view of a host.
async fn view(host: &HostProcess) -> Result<Value> {
    let answer = host.admin("/v1/hosts").await?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(serde_json::from_str(&answer.body)?)
}

/// The names of the hosts in a view, those that answered.
fn answering(view: &Value) -> Vec<String> {
    names(view, |host| host["answered"] == true)
}

fn silent(view: &Value) -> Vec<String> {
    names(view, |host| host["answered"] == false)
}

fn names(view: &Value, those: impl Fn(&Value) -> bool) -> Vec<String> {
    let hosts = view["hosts"].as_array().into_iter().flatten();
    let hosts = hosts.filter(|host| those(host));
    hosts
        .filter_map(|host| Some(host["host"].as_str()?.to_owned()))
        .collect()
}

/// Waits until a host sees these, itself among them.
async fn sees(host: &HostProcess, expected: &[&str]) -> Result<Value> {
    let look = async || view(host).await;
    let what = format!("it sees {expected:?}");
    eventually(&what, look, |view| answering(view) == expected).await
}

/// The hosts `a` and `b`, which have found one another.
async fn two(vhost: &Vhost) -> Result<Vec<HostProcess>> {
    let all = hosts(vhost, &grouped(), &["a", "b"]).await?;
    sees(&all[0], &["a", "b"]).await?;
    Ok(all)
}

/// Home and active host of the queue `letters`, in a view.
fn placed(view: &Value) -> (String, Option<String>) {
    let queue = &view["queues"][0];
    assert_eq!(queue["queue"], "letters", "{view}");
    let text = |key: &str| queue[key].as_str().map(str::to_owned);
    (text("home").unwrap_or_default(), text("active"))
}

/// The exchange and the queues of groups at the broker.
async fn entities(vhost: &Vhost) -> Result<Vec<String>> {
    let all = vhost
        .management()
        .get(&format!("/exchanges/{}", vhost.name()))?;
    let exchanges = all.as_array().into_iter().flatten();
    let exchanges = exchanges.filter_map(|one| one["name"].as_str().map(str::to_owned));
    let names = exchanges.chain(vhost.queues()?);
    Ok(names
        .filter(|name| name.starts_with("hive.hosts."))
        .collect())
}

#[tokio::test]
async fn hosts_of_a_group_find_one_another_and_one_that_is_killed_is_gone() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("group").await?;
    let mut all = hosts(&vhost, &grouped(), &["a", "b", "c"]).await?;
    // Of another group, on the same vhost.
    let other = host(&vhost, &grouped_as("elsewhere"), "other").await?;
    for one in &all {
        let seen = sees(one, &["a", "b", "c"]).await?;
        assert_eq!(seen["group"], "shop", "{seen}");
        let this = names(&seen, |host| host["this"] == true);
        assert_eq!(this.len(), 1, "{seen}");
    }
    sees(&other, &["other"]).await?;
    let mut killed = all.pop().context("three hosts")?;
    killed.kill9()?;
    // The broker takes its queue away, a moment later.
    for one in &all {
        let look = async || view(one).await;
        let is_gone = |view: &Value| answering(view) == ["a", "b"] && silent(view).is_empty();
        eventually("the killed host is gone", look, is_gone).await?;
    }
    let again = host(&vhost, &grouped(), "c").await?;
    all.push(again);
    for one in &all {
        sees(one, &["a", "b", "c"]).await?;
    }
    all.push(other);
    for one in &mut all {
        one.stop().await?;
    }
    let look = async || entities(&vhost).await;
    eventually("nothing of them is left", look, Vec::is_empty).await?;
    Ok(())
}

#[tokio::test]
async fn placement_shows_home_and_active_and_follows_a_hand_over() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("group-home").await?;
    let files = ["a", "b"].map(|_| scratch("group").join("hive.toml"));
    let mut all = Vec::new();
    for (file, name) in files.iter().zip(["a", "b"]) {
        let text = grouped().text(&vhost);
        let named = text.replace("name = \"tests\"", &format!("name = \"{name}\""));
        ensure!(named != text, "the host has its name");
        std::fs::write(file, named.replace("admin = \"127.0.0.1:0\"\n", ""))?;
        let one = HostProcess::launch_file(file, &[])?;
        one.wait_for_event("consumer.subscribed", &[]).await?;
        all.push(one);
    }
    for one in &all {
        let seen = sees(one, &["a", "b"]).await?;
        let (_, active) = placed(&seen);
        assert_eq!(active, None, "no message has come: {seen}");
    }
    vhost.publish_all("", "letters", letters(0..10)).await?;
    wait_for_ended(&all, 10).await?;
    let (home, active) = placed(&view(&all[0]).await?);
    let busy = usize::from(ended(&all[0]).is_empty());
    assert_eq!(active.as_deref(), Some(["a", "b"][busy]));
    let is_home = home == ["a", "b"][busy];
    assert!(
        is_home || !moves_back(&vhost),
        "{home} is home, and not active"
    );
    // The view of each host, and that of the command line.
    assert_eq!(
        placed(&view(&all[1]).await?),
        (home.clone(), active.clone())
    );
    let file = files[1 - busy].to_string_lossy();
    let shown = run_to_end(&["placement", &file])?;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let row = shown
        .stdout
        .lines()
        .find(|line| line.starts_with("letters"));
    let row: Vec<_> = row.context("a row")?.split_whitespace().collect();
    assert_eq!(row[..3], ["letters", &home, ["a", "b"][busy]], "{shown:?}");
    command(&all[busy], "pause").await?;
    vhost.publish_all("", "letters", letters(10..20)).await?;
    wait_for_ended(&all, 20).await?;
    let json = run_to_end(&["placement", &file, "--json"])?;
    let seen: Value = serde_json::from_str(&json.stdout)?;
    let other = ["a", "b"][1 - busy];
    assert_eq!(
        placed(&seen),
        (home.clone(), Some(other.to_owned())),
        "{seen}"
    );
    let note = seen["queues"][0]["note"].as_str();
    let expected = is_home.then(|| format!("not at home: {home} is paused"));
    assert_eq!(note, expected.as_deref(), "{seen}");
    Ok(())
}

/// A host that does not run, though the broker still has its queue: it is shown, and costs no more than two seconds.
#[tokio::test]
async fn a_frozen_host_is_shown_without_an_answer() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("group-frozen").await?;
    let all = two(&vhost).await?;
    all[1].sigstop();
    let seen = view(&all[0]).await;
    all[1].sigcont();
    let seen = seen?;
    assert_eq!(
        (answering(&seen), silent(&seen)),
        (vec!["a".into()], vec!["b".into()]),
        "{seen}"
    );
    sees(&all[0], &["a", "b"]).await?;
    Ok(())
}

/// Anybody who may publish to the exchange can send anything. A host ignores what it does not know.
#[tokio::test]
async fn what_is_no_message_of_a_group_changes_nothing() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("group-noise").await?;
    let all = two(&vhost).await?;
    let from = r#""from":{"id":"0123456789abcdef0123456789abcdef","host":"ghost","version":"9"}"#;
    let noise = [
        "hello".to_owned(),
        "{".to_owned(),
        r#"{"hive_group":2,"here":{"is_new":true}}"#.to_owned(),
        format!(r#"{{"hive_group":1,{from},"answers":{{"number":0,"answer":{{}}}}}}"#),
        format!(r#"{{"hive_group":1,{from},"asks":{{"number":0,"question":{{"end":{{}}}}}}}}"#),
        "[".repeat(100_000),
    ];
    let count = noise.len();
    for message in noise {
        vhost
            .publish(EXCHANGE, "all", Message::new(message))
            .await?;
    }
    for one in &all {
        one.wait_for_events("group.message_ignored", &[("group", "shop")], count)
            .await?;
    }
    // One that says that it is there, and is not: the broker knows no queue of it.
    let ghost = format!(r#"{{"hive_group":1,{from},"here":{{"is_new":false}}}}"#);
    vhost.publish(EXCHANGE, "all", Message::new(ghost)).await?;
    for one in &all {
        sees(one, &["a", "b"]).await?;
    }
    vhost.publish_all("", "letters", letters(0..10)).await?;
    wait_for_ended(&all, 10).await
}

/// Without rights on the exchange the host consumes as ever, and says once what it lacks.
#[tokio::test]
async fn a_host_without_rights_runs_on_without_the_view() -> Result<()> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("group-rights").await?;
    let user = User::new(broker, &vhost)?;
    let own = r"^(letters.*|hive\.retries.*|amq\.default)?$";
    user.permit(own, own, own)?;
    let host = HostProcess::launch(&grouped().text_for(&user.url()))?;
    host.wait_for_event("consumer.subscribed", &[]).await?;
    let denied = host.wait_for_event("group.unavailable", &[]).await?;
    assert_eq!(
        denied.field("code").as_deref(),
        Some("HIVE-0222"),
        "{denied:?}"
    );
    vhost.publish_all("", "letters", letters(0..10)).await?;
    let look = async || Ok(ended(&host).len());
    eventually("the letters are handled", look, |ended| *ended >= 10).await?;
    let seen = view(&host).await?;
    assert_eq!(answering(&seen), ["tests"], "{seen}");
    let reason = seen["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("hive.hosts.shop"), "{seen}");
    assert_eq!(host.readiness().await?.0, 200);
    // What is missing is enough: nothing else of the broker is needed.
    let group = r"^(letters.*|hive\.retries.*|hive\.hosts\.shop(\..*)?|amq\.default)?$";
    user.permit(group, group, group)?;
    host.wait_for_event("group.joined", &[]).await?;
    assert_eq!(host.count_events("group.unavailable", &[]), 1);
    let other = super::placement::host(&vhost, &grouped(), "z").await?;
    sees(&other, &["tests", "z"]).await?;
    Ok(())
}

/// The broker closes all connections: the hosts find one another again.
#[tokio::test]
async fn hosts_find_one_another_again_after_their_connections_were_closed() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("group-again").await?;
    let all = two(&vhost).await?;
    let joined = all[0].count_events("group.joined", &[]);
    let close = async || vhost.close_host_connections();
    eventually("the connections are closed", close, |closed| *closed >= 4).await?;
    let again = async || Ok(all[0].count_events("group.joined", &[]));
    eventually("it joins again", again, |now| *now > joined).await?;
    for one in &all {
        sees(one, &["a", "b"]).await?;
    }
    Ok(())
}

/// Of a host that is in no group, the command says what to set.
#[tokio::test]
async fn a_host_in_no_group_says_so() -> Result<()> {
    let vhost = Broker::shared().await?.vhost("group-none").await?;
    let file = scratch("group").join("hive.toml");
    let mut host = HostProcess::run_file(&vhost, &single("", ""), &file).await?;
    let port = host.admin_port().await?;
    let address = format!("127.0.0.1:{port}");
    let path = file.to_string_lossy();
    let told = run_to_end(&["placement", &path, "--admin", &address])?;
    assert_eq!(told.code, Some(1), "{told:?}");
    assert!(told.stderr.contains("host.group"), "{told:?}");
    assert_eq!(entities(&vhost).await?, [""; 0]);
    host.stop().await?;
    let gone = run_to_end(&["placement", &path, "--admin", &address])?;
    assert_eq!(gone.code, Some(1), "{gone:?}");
    assert!(gone.stderr.contains("HIVE-0502"), "{gone:?}");
    Ok(())
}
