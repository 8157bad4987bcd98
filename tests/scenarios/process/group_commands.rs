//! Commands for all hosts of a group: all of them carry one out, or none does.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use hive_tests::{
    Broker, Finished, HiveToml, HostProcess, Message, Vhost, eventually, guest, scratch,
};
use serde_json::Value;

use super::group::{EXCHANGE, sees};
use super::placement::{ended, letters, single, wait_for_ended};

const TOKEN: &str = "open-sesame-1234";

/// Hosts of a group with one token, each with a hive.toml of its own.
struct Group {
    vhost: Vhost,
    hosts: Vec<(PathBuf, HostProcess)>,
}

/// One consumer of `letters`.
fn toml() -> HiveToml {
    single("", "").host("group = \"shop\"\nlog = \"info,hive=debug\"")
}

fn with_token(toml: HiveToml) -> HiveToml {
    toml.host(&format!("admin_token = \"{TOKEN}\""))
}

impl Group {
    async fn of<const N: usize>(label: &str, hosts: [(&str, HiveToml); N]) -> Result<Self> {
        let vhost = Broker::shared().await?.vhost(label).await?;
        let names: Vec<_> = hosts.iter().map(|(name, _)| *name).collect();
        let launching = hosts.iter().map(async |(name, toml)| {
            let file = scratch(label).join("hive.toml");
            let text = toml
                .text(&vhost)
                .replace("name = \"tests\"", &format!("name = \"{name}\""));
            std::fs::write(&file, text)?;
            let host = HostProcess::launch_file(&file, &[])?;
            host.wait_for_event("consumer.subscribed", &[]).await?;
            anyhow::Ok((file, host))
        });
        let hosts = futures_util::future::try_join_all(launching).await?;
        for (_, host) in &hosts {
            sees(host, &names).await?;
        }
        Ok(Self { vhost, hosts })
    }

    /// Hosts that differ in nothing but their names.
    async fn alike(label: &str, names: [&str; 2]) -> Result<Self> {
        Self::of(label, names.map(|name| (name, with_token(toml())))).await
    }

    /// `hive-host VERB HIVE.TOML ARGUMENTS` to the first of them.
    async fn told(&self, verb: &str, arguments: &[&str]) -> Result<Finished> {
        let (file, host) = &self.hosts[0];
        host.told(verb, file, arguments).await
    }

    /// What each host has for the state of its consumer.
    async fn states(&self) -> Result<Vec<String>> {
        let mut states = Vec::new();
        for (_, host) in &self.hosts {
            let (_, ready) = host.readiness().await?;
            let is_paused = ready["consumers"]["paused"] == 1;
            states.push(if is_paused { "paused" } else { "at work" }.to_owned());
        }
        Ok(states)
    }

    /// The checksums of the code that each host serves with.
    async fn code(&self) -> Result<Vec<String>> {
        let mut sums = Vec::new();
        for (_, host) in &self.hosts {
            let components: Value =
                serde_json::from_str(&host.admin("/v1/components").await?.body)?;
            let sum = components[0]["sha256"].as_str().context("a checksum")?;
            sums.push(sum.to_owned());
        }
        Ok(sums)
    }
}

fn done(finished: &Finished) -> Result<()> {
    ensure!(finished.code == Some(0), "{finished:?}");
    Ok(())
}

fn refused(finished: &Finished, words: &[&str]) -> Result<()> {
    ensure!(finished.code == Some(1), "{finished:?}");
    for word in words {
        ensure!(finished.stderr.contains(word), "no {word:?}: {finished:?}");
    }
    Ok(())
}

#[tokio::test]
async fn all_hosts_pause_and_resume_and_say_so() -> Result<()> {
    let group = Group::alike("all-pause", ["a", "b"]).await?;
    let paused = group.told("pause", &["letters", "--all-hosts"]).await?;
    done(&paused)?;
    let lines: Vec<_> = paused.stdout.lines().collect();
    let line = |host: &str| format!("{host}: letters: paused; deliveries in flight are finished");
    assert_eq!(lines, [line("a"), line("b")], "{paused:?}");
    assert_eq!(group.states().await?, ["paused", "paused"]);
    for (_, host) in &group.hosts {
        let fields = [("group", "shop"), ("by", "a"), ("command", "pause letters")];
        host.wait_for_event("group.command", &fields).await?;
        let fields = [
            ("by", "host a"),
            ("command", "pause"),
            ("subject", "letters"),
            ("arguments", "all_hosts = true"),
            ("result", "ok"),
        ];
        host.wait_for_event("audit", &fields).await?;
    }
    let asked = [("by", "admin"), ("command", "pause"), ("result", "ok")];
    group.hosts[0].1.wait_for_event("audit", &asked).await?;
    let json = group
        .told("resume", &["letters", "--all-hosts", "--json"])
        .await?;
    done(&json)?;
    let json: Value = serde_json::from_str(&json.stdout)?;
    assert_eq!(json["carried_out"], true, "{json}");
    for (index, name) in ["a", "b"].iter().enumerate() {
        let host = &json["hosts"][index];
        assert_eq!(host["host"], *name, "{json}");
        assert_eq!(host["this"], index == 0, "{json}");
        assert_eq!(host["answer"]["done"], "resumed", "{json}");
        assert_eq!(host["answer"]["changed"], true, "{json}");
    }
    assert_eq!(group.states().await?, ["at work", "at work"]);
    let letters = letters(0..10);
    group.vhost.publish_all("", "letters", letters).await?;
    let hosts: Vec<_> = group.hosts.into_iter().map(|(_, host)| host).collect();
    wait_for_ended(&hosts, 10).await
}

/// `b` has no such consumer: nothing is paused, unless that is forced.
#[tokio::test]
async fn nothing_is_changed_where_one_host_refuses() -> Result<()> {
    let other = HiveToml::new()
        .queue("letters", "")
        .component("turns", "")
        .section(
            "consumers.posts",
            "queue = \"letters\"\ncomponent = \"turns\"\nplacement = \"single\"",
        )
        .host("group = \"shop\"\nlog = \"info,hive=debug\"");
    let hosts = [("a", with_token(toml())), ("b", with_token(other))];
    let group = Group::of("all-refuse", hosts).await?;
    let no = group.told("pause", &["letters", "--all-hosts"]).await?;
    refused(
        &no,
        &[
            "nothing was changed",
            "--force",
            "error[HIVE-0508]: b: there is no consumer \"letters\"",
        ],
    )?;
    assert_eq!(no.stdout, "");
    assert_eq!(group.states().await?, ["at work", "at work"]);
    for (_, host) in &group.hosts {
        assert_eq!(host.count_events("group.command", &[]), 0);
    }
    let forced = group
        .told("pause", &["letters", "--all-hosts", "--force"])
        .await?;
    refused(&forced, &["b: there is no consumer \"letters\""])?;
    assert!(
        forced.stdout.starts_with("a: letters: paused"),
        "{forced:?}"
    );
    assert!(!forced.stderr.contains("nothing was changed"), "{forced:?}");
    assert_eq!(group.states().await?, ["paused", "at work"]);
    Ok(())
}

/// Code goes over the broker in pieces, and is tried out on every host before it serves on any.
#[tokio::test]
async fn new_code_serves_on_all_hosts_or_on_none() -> Result<()> {
    let group = Group::alike("all-swap", ["a", "b"]).await?;
    let before = group.code().await?;
    assert_eq!(before[0], before[1]);
    let folder = scratch("all-swap");
    let broken = folder.join("broken.wasm");
    std::fs::write(&broken, "no component")?;
    let swap = async |file: &std::path::Path| {
        let file = file.to_string_lossy();
        group.told("swap", &["turns", &file, "--all-hosts"]).await
    };
    refused(&swap(&broken).await?, &["nothing was changed", "b: "])?;
    assert_eq!(group.code().await?, before);
    // Three pieces and a bit: the same code with a custom section behind it (WebAssembly core specification, 5.5.3).
    let large = folder.join("large.wasm");
    let mut code = std::fs::read(guest("turns"))?;
    let padding = 3 * (512 << 10) + 7;
    code.push(0);
    code.extend(unsigned(padding + 1));
    code.push(0);
    code.extend(std::iter::repeat_n(b'.', padding));
    std::fs::write(&large, &code)?;
    let swapped = swap(&large).await?;
    done(&swapped)?;
    assert_eq!(swapped.stdout.lines().count(), 2, "{swapped:?}");
    let after = group.code().await?;
    assert_eq!(after[0], after[1]);
    assert_ne!(after[0], before[0]);
    let back = group
        .told("swap", &["turns", "--back", "--all-hosts"])
        .await?;
    done(&back)?;
    assert_eq!(group.code().await?, before);
    let canary = group
        .told("swap", &["turns", "--canary", "5%", "--all-hosts"])
        .await?;
    assert_eq!(canary.code, Some(2), "{canary:?}");
    Ok(())
}

/// A number in LEB128, as WebAssembly has its lengths.
fn unsigned(mut number: usize) -> Vec<u8> {
    let mut octets = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            octets.push(low);
            return octets;
        }
        octets.push(low | 0x80);
    }
}

/// Also a reload that opens the connection again over which the hosts talk.
#[tokio::test]
async fn all_hosts_read_their_files_again_or_none_does() -> Result<()> {
    let group = Group::alike("all-reload", ["a", "b"]).await?;
    let texts: Vec<String> = group
        .hosts
        .iter()
        .map(|(file, _)| std::fs::read_to_string(file))
        .collect::<Result<_, _>>()?;
    let write = |changed: &[&str; 2]| -> Result<()> {
        for ((file, _), text) in group.hosts.iter().zip(changed) {
            std::fs::write(file, text)?;
        }
        Ok(())
    };
    let changed = texts
        .iter()
        .map(|text| {
            text.replace(
                "[connections.main]\n",
                "[connections.main]\nheartbeat = \"7s\"\n",
            )
        })
        .collect::<Vec<_>>();
    assert_ne!(changed[0], texts[0]);
    let faulty = changed[1].replace("queue = \"letters\"", "qeue = \"letters\"");
    write(&[&changed[0], &faulty])?;
    let no = group.told("reload", &["--all-hosts"]).await?;
    refused(&no, &["nothing was changed", "b: ", "qeue"])?;
    for (_, host) in &group.hosts {
        assert_eq!(host.count_events("config.reloaded", &[]), 0);
    }
    write(&[&changed[0], &changed[1]])?;
    let reloaded = group.told("reload", &["--all-hosts"]).await?;
    done(&reloaded)?;
    for host in ["a: ", "b: "] {
        let mut lines = reloaded.stdout.lines();
        ensure!(
            lines.any(|line| line.starts_with(host) && line.contains("main")),
            "{reloaded:?}"
        );
    }
    // They find one another over the new connections.
    for (_, host) in &group.hosts {
        sees(host, &["a", "b"]).await?;
    }
    let nothing = group.told("reload", &["--all-hosts"]).await?;
    done(&nothing)?;
    assert_eq!(
        nothing.stdout.matches("nothing has changed").count(),
        2,
        "{nothing:?}"
    );
    Ok(())
}

/// A host that does not answer is one that refuses: soon, and by its name.
#[tokio::test]
async fn a_frozen_host_keeps_the_others_as_they_are() -> Result<()> {
    let group = Group::alike("all-frozen", ["a", "b"]).await?;
    group.hosts[1].1.sigstop();
    let no = group.told("pause", &["letters", "--all-hosts"]).await;
    let forced = group
        .told("pause", &["letters", "--all-hosts", "--force"])
        .await;
    group.hosts[1].1.sigcont();
    refused(
        &no?,
        &["nothing was changed", "b: it did not answer within 2 s"],
    )?;
    refused(&forced?, &["b: it did not answer within 2 s"])?;
    // What was sent to it meanwhile is not done behind the back of the operator.
    let look = async || group.states().await;
    eventually("it is as it was", look, |states| {
        *states == ["paused", "at work"]
    })
    .await?;
    sees(&group.hosts[0].1, &["a", "b"]).await?;
    assert_eq!(group.states().await?, ["paused", "at work"]);
    Ok(())
}

/// A token is the proof, so a host with another one, or with none, is told nothing.
#[tokio::test]
async fn a_host_takes_commands_from_hosts_with_its_token_alone() -> Result<()> {
    let other = toml().host("admin_token = \"open-sesame-4321\"");
    let hosts = [("a", with_token(toml())), ("b", other), ("c", toml())];
    let group = Group::of("all-token", hosts).await?;
    let no = group.told("pause", &["letters", "--all-hosts"]).await?;
    let another = "it has another `host.admin_token`, or none";
    refused(
        &no,
        &[
            "nothing was changed",
            &format!("b: {another}"),
            &format!("c: {another}"),
        ],
    )?;
    assert_eq!(group.states().await?, ["at work", "at work", "at work"]);
    let (file, without) = &group.hosts[2];
    let no = without
        .told("pause", file, &["letters", "--all-hosts"])
        .await?;
    refused(&no, &["`host.admin_token`", "the same on each"])?;
    for (_, host) in &group.hosts {
        assert!(!host.mentions(TOKEN), "the token is in a log");
    }
    Ok(())
}

/// Whoever may read and write at the exchange sees the commands. Sent again, they are not done again.
#[tokio::test]
async fn a_command_that_somebody_sends_again_is_not_carried_out_again() -> Result<()> {
    let group = Group::alike("all-again", ["a", "b"]).await?;
    let queues = group.vhost.queues()?;
    group.vhost.declare_queue("overheard", "classic").await?;
    let prefix = format!("{EXCHANGE}.");
    let ids = queues.iter().filter_map(|name| name.strip_prefix(&prefix));
    let ids: Vec<_> = ids.collect();
    assert_eq!(ids.len(), 2, "{queues:?}");
    for id in &ids {
        group.vhost.bind("overheard", EXCHANGE, id).await?;
    }
    done(&group.told("pause", &["letters", "--all-hosts"]).await?)?;
    done(&group.told("resume", &["letters", "--all-hosts"]).await?)?;
    let overheard = group.vhost.drain("overheard").await?;
    let commands: Vec<_> = overheard
        .iter()
        .filter(|message| message.text().contains("carry_out"))
        .collect();
    assert_eq!(commands.len(), 2, "{overheard:?}");
    let before = group.hosts[1].1.count_events("group.command", &[]);
    for message in &overheard {
        ensure!(!message.text().contains(TOKEN), "{message:?}");
        for id in &ids {
            let again = Message::new(message.text());
            group.vhost.publish(EXCHANGE, id, again).await?;
        }
    }
    // Each host has read all of that when it answers.
    for (_, host) in &group.hosts {
        sees(host, &["a", "b"]).await?;
        assert_eq!(host.count_events("group.command", &[]), before);
    }
    assert_eq!(group.states().await?, ["at work", "at work"]);
    // Nor one that is changed on the way.
    let changed = commands[0].text().replace("carry_out", "give_up");
    let ignored = || group.hosts[1].1.count_events("group.message_ignored", &[]);
    let ignored_before = ignored();
    for id in &ids {
        let changed = Message::new(changed.clone());
        group.vhost.publish(EXCHANGE, id, changed).await?;
    }
    let look = async || Ok(ignored());
    eventually("it is ignored", look, |now| *now > ignored_before).await?;
    let hosts: Vec<_> = group.hosts.iter().map(|(_, host)| ended(host)).collect();
    assert!(hosts.iter().all(Vec::is_empty));
    Ok(())
}

/// Two operators at once: each command is carried out everywhere or nowhere, and neither is left half done.
#[tokio::test]
async fn commands_of_two_hosts_at_once_do_not_mix() -> Result<()> {
    let group = Group::alike("all-two", ["a", "b"]).await?;
    let [(first, a), (second, b)] = &group.hosts[..] else {
        anyhow::bail!("two hosts");
    };
    for round in 0..10 {
        let (pause, resume) = tokio::join!(
            a.told("pause", first, &["letters", "--all-hosts"]),
            b.told("resume", second, &["letters", "--all-hosts"])
        );
        let all = [pause?, resume?];
        // One at most has changed something, and that one everywhere.
        let states = group.states().await?;
        ensure!(states[0] == states[1], "round {round}: {states:?} {all:?}");
        for finished in &all {
            let is_refused = finished.code == Some(1);
            ensure!(
                finished.code == Some(0)
                    || is_refused
                        && finished
                            .stderr
                            .contains("has begun a command for all hosts"),
                "round {round}: {finished:?}"
            );
        }
    }
    done(&group.told("pause", &["letters", "--all-hosts"]).await?)?;
    assert_eq!(group.states().await?, ["paused", "paused"]);
    Ok(())
}
