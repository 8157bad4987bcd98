//! Hosts with `placement = "single"` in networks of their own: one is cut off while it works, one stands still. Neither can
//! know that another host has its queue now; the broker does.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hive_tests::{Broker, HiveToml, HostProcess, Message, Network, Version, Vhost, eventually};
use tokio::time::sleep;

use super::placement::{active, begun, calls, ended, single};

/// How many seconds a host is cut off, and then another one frozen, where `HIVE_SPLIT` names no other number. The broker
/// notices within two heartbeats of two seconds.
const SPLIT: u64 = 10;

/// Letters, and the milliseconds that each takes: enough for both faults on one host at a time.
const PAUSE: i64 = 30;

/// Has the broker look every 20 ms which consumers of the queue are active, from now on until the queue is deleted.
async fn watch(broker: &Broker, vhost: &Vhost) -> Result<Child> {
    let asking = format!(
        "Name = rabbit_misc:r(<<\"{}\">>, queue, <<\"letters\">>),
         Active = fun(Queue) -> length([One || One <- rabbit_amqqueue:consumers(Queue), element(5, One)]) end,
         application:set_env(rabbit, hive_watch, begun),
         Watch = fun Watch(Asked, Most) ->
             case rabbit_amqqueue:lookup(Name) of
                 {{ok, Queue}} ->
                     timer:sleep(20),
                     case catch Active(Queue) of
                         Now when is_integer(Now) -> Watch(Asked + 1, max(Most, Now));
                         _ -> Watch(Asked, Most)
                     end;
                 _ -> [Asked, Most]
             end
         end,
         Watch(0, 0).",
        vhost.name()
    );
    let watching = broker.start_rabbitmqctl(&["eval", &asking])?;
    let look = async || broker.rabbitmqctl(&["eval", "application:get_env(rabbit, hive_watch)."]);
    eventually("the broker watches", look, |state| state.contains("begun")).await?;
    Ok(watching)
}

/// How often that asked, and how many were active at most. The hosts have stopped: they would declare the queue again.
async fn watched(vhost: &Vhost, watching: Child) -> Result<[u64; 2]> {
    vhost.delete_queue("letters").await?;
    let output = watching.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let words: Vec<u64> = text
        .trim()
        .trim_matches(['[', ']'])
        .split(',')
        .filter_map(|word| word.trim().parse().ok())
        .collect();
    let told = words.try_into().ok();
    told.with_context(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

fn named(toml: &HiveToml, url: &str, name: &str) -> String {
    let text = toml.text_for(url);
    text.replace("name = \"tests\"", &format!("name = \"{name}\""))
}

#[tokio::test]
async fn of_hosts_that_are_cut_off_and_frozen_one_at_most_is_active() -> Result<()> {
    let test = "of_hosts_that_are_cut_off_and_frozen_one_at_most_is_active";
    let seconds = std::env::var("HIVE_SPLIT").ok().map(|text| text.parse());
    let seconds = seconds.transpose()?.unwrap_or(SPLIT);
    let split = Duration::from_secs(seconds);
    let mut networks = Vec::new();
    for _ in 0..3 {
        let Some(network) = Network::new(test).await else {
            return Ok(());
        };
        networks.push(network);
    }
    let port = hive_tests::reserve_ports::<1>()?[0];
    let listeners: String = networks
        .iter()
        .enumerate()
        .map(|(number, network)| {
            format!(
                "listeners.tcp.{} = {}:{port}\n",
                number + 2,
                network.gateway()
            )
        })
        .collect();
    let configuration = format!("{listeners}loopback_users = none\n");
    let broker = Broker::private_with(Version::of_run()?, &configuration, &[]).await?;
    let vhost = broker.vhost("split").await?;
    let toml =
        single("", "concurrency = 2").connection("heartbeat = \"2s\"\nconnect_timeout = \"2s\"");
    let mut hosts = Vec::new();
    for (network, name) in networks.iter().zip(["a", "b", "c"]) {
        let url = format!(
            "amqp://guest:guest@{}:{port}/{}",
            network.gateway(),
            vhost.name()
        );
        let host = HostProcess::launch_on(network, &named(&toml, &url, name))?;
        host.wait_for_event("consumer.subscribed", &[]).await?;
        hosts.push(host);
    }
    // Two workers are busy with these for longer than both faults take.
    let count = usize::try_from(seconds * 3 * 2 * 1000)? / usize::try_from(PAUSE)?;
    let letter = |number: usize| Message::new(number.to_string()).header("pause", PAUSE);
    let letters = (0..count).map(letter);
    vhost.publish_all("", "letters", letters).await?;
    // On a slow machine they are handled before the last host has taken over.
    let count = Cell::new(count);
    let feed = async || {
        vhost.publish("", "letters", letter(count.get())).await?;
        count.set(count.get() + 1);
        Ok(())
    };
    let cut = active(&hosts, &begun(&hosts), None, feed).await?;
    let watching = watch(&broker, &vhost).await?;
    let before = begun(&hosts);
    networks[cut].cut()?;
    let next = active(&hosts, &before, Some(cut), feed).await?;
    sleep(split).await;
    networks[cut].mend()?;
    // On a quorum queue it comes home, once the host has connected again.
    let frozen = active(&hosts, &begun(&hosts), None, feed).await?;
    let before = begun(&hosts);
    hosts[frozen].sigstop();
    let taken = active(&hosts, &before, Some(frozen), feed).await;
    sleep(split).await;
    hosts[frozen].sigcont();
    taken?;
    let look = async || {
        let all = hosts.iter().flat_map(ended);
        Ok(all.collect::<BTreeSet<_>>().len())
    };
    let count = count.get();
    eventually("each letter is handled", look, |handled| *handled == count).await?;
    let calls = calls(&hosts)?;
    for host in &mut hosts {
        host.stop().await?;
    }
    let [asked, most] = watched(&vhost, watching).await?;
    // For as long as both faults took, and at least every tenth of a second.
    ensure!(
        asked > seconds * 2 * 10,
        "the broker was asked {asked} times only"
    );
    assert_eq!(most, 1, "two hosts were active at once");
    let ends = |call: &super::placement::Call| call.ended.unwrap_or(call.begins);
    let overlapping = calls.iter().filter(|one| {
        calls.iter().any(|other| {
            other.host != one.host && other.begins < ends(one) && one.begins < ends(other)
        })
    });
    let line = format!(
        "a split of {seconds} s: the broker was asked {asked} times which hosts are active, {most} at most; host {cut} was cut \
         off, {next} followed, {frozen} was frozen; {count} letters in {} calls, {} of them beside a call of another host\n",
        calls.len(),
        overlapping.count()
    );
    drop(std::io::Write::write_all(
        &mut std::io::stderr(),
        line.as_bytes(),
    ));
    Ok(())
}
