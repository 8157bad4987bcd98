//! Headers as large as a frame: what the host adds has no room, and the message is kept all the same.

use anyhow::Result;
use hive_tests::{Broker, HiveToml, HostProcess, Message, User, eventually};

use crate::{assert_settled, consuming};

/// RabbitMQ's frame_max, which a content header has to fit in (AMQP 0-9-1, section 4.2.6).
const FRAME_MAX: usize = 131_072;

/// What a message of [`with_headers`] takes beside the text: the frame's eight bytes, the content
/// header's fourteen with its flags, the delivery mode, the table's length, and the header's name and
/// type.
const AROUND: usize = 8 + 14 + 1 + 4 + 1 + LARGE.len() + 1 + 4;

const LARGE: &str = "large";

/// A message whose content header leaves `room` bytes of its frame.
fn with_room(body: &str, room: usize) -> Message {
    Message::new(body).text_header(LARGE, &"x".repeat(FRAME_MAX - AROUND - room))
}

/// One consumer that fails and one that publishes what it gets, on the same connections.
fn failing_and_echoing() -> HiveToml {
    HiveToml::new()
        .queue("bad", "")
        .queue("good", "")
        .queue("out", "")
        .component("fail", "")
        .component("echo", "")
        .consumer("bad", "fail", r#"retry = { limit = 1, delays = ["50ms"] }"#)
        .consumer(
            "good",
            "echo",
            r#"retry = { limit = 1, delays = ["50ms"] }"#,
        )
}

/// From one that fills its frame to one that all of the host's own headers fit beside.
const ROOMS: [usize; 9] = [0, 1, 20, 60, 100, 150, 200, 300, 1000];

/// The large messages and a small one, which must not notice them.
fn messages(of: &str) -> Vec<Message> {
    let large = ROOMS.map(|room| with_room(&format!("{of} {room}"), room));
    let mut all = Vec::from(large);
    all.push(Message::new(format!("{of} small")));
    all
}

fn bodies(messages: &[Message]) -> Vec<String> {
    let mut bodies: Vec<String> = messages.iter().map(Message::text).collect();
    bodies.sort();
    bodies
}

#[tokio::test]
async fn failed_messages_that_leave_no_room_in_a_frame_end_in_the_dead_letter_queue() -> Result<()>
{
    let (vhost, mut host) = consuming("oversize", failing_and_echoing()).await?;
    let broker = Broker::shared().await?;
    let before = broker.connections(&vhost)?;
    let sent = messages("bad");
    vhost.publish_all("", "bad", sent.clone()).await?;
    let dead = vhost.take("bad.dead", sent.len()).await?;
    assert_eq!(broker.connections(&vhost)?, before, "a connection was lost");
    assert_settled(&vhost, &mut host, "bad").await?;
    assert_eq!(bodies(&dead), bodies(&sent));
    for dead in &dead {
        assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("error"));
    }
    Ok(())
}

/// A message-id and an id of the publisher's are added to what a component publishes.
#[tokio::test]
async fn publications_that_leave_no_room_in_a_frame_are_their_components_failure() -> Result<()> {
    let (vhost, mut host) = consuming("oversize", failing_and_echoing()).await?;
    let broker = Broker::shared().await?;
    let before = broker.connections(&vhost)?;
    let sent = messages("good");
    vhost.publish_all("", "good", sent.clone()).await?;
    let look = async || Ok(vhost.ready("out").await? + vhost.ready("good.dead").await?);
    let count = u32::try_from(sent.len())?;
    eventually("all came through", look, |seen| *seen == count).await?;
    assert_eq!(broker.connections(&vhost)?, before, "a connection was lost");
    assert_settled(&vhost, &mut host, "good").await?;
    let dead = vhost.drain("good.dead").await?;
    for dead in &dead {
        assert_eq!(dead.text_of("x-hive-reason").as_deref(), Some("publish"));
    }
    let out = vhost.drain("out").await?;
    assert!(!dead.is_empty() && out.len() > 1, "there are some of both");
    assert_eq!(bodies(&[out, dead].concat()), bodies(&sent));
    Ok(())
}

/// A quorum queue counts how often it has handed a message out in a header of its own, and sends a frame
/// that is larger than was agreed on. Whoever reads it loses its connection, again and again.
#[tokio::test]
async fn a_message_that_a_quorum_queue_makes_too_large_for_a_frame_stops_nobody() -> Result<()> {
    let broker = Broker::shared().await?;
    let vhost = broker.vhost("oversize").await?;
    let user = User::new(broker, &vhost)?;
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("good", "")
        .queue("out", "")
        .component("slow-once", r#"timeout = "5m""#)
        .component("echo", "")
        .consumer("letters", "slow-once", "concurrency = 2")
        .consumer("good", "echo", "");
    let host = HostProcess::run_at(&user.url(), &toml).await?;
    vhost.publish("", "letters", with_room("600000", 0)).await?;
    host.wait_for_printed("attempt 1 of").await?;
    user.close_connections().await?;
    host.wait_for_printed_times("attempt 1 of", 2).await?;
    vhost.publish("", "good", Message::new("small")).await?;
    assert_eq!(vhost.take_one("out").await?.text(), "small");
    Ok(())
}
