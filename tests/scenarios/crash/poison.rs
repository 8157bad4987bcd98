//! Messages that no instance survives: they end, and the good ones beside them get through.

use std::collections::BTreeMap;

use anyhow::Result;
use hive_tests::{HiveToml, Message};

use crate::{assert_settled, consuming};

const GOOD: usize = 40;
const DELIVERIES: usize = 3;

#[tokio::test]
async fn poison_among_good_messages_ends_after_its_limit_and_stops_none_of_them() -> Result<()> {
    let toml = HiveToml::new()
        .queue("letters", "")
        .queue("out", "")
        .component("poison", r#"timeout = "300ms""#)
        .consumer(
            "letters",
            "poison",
            "concurrency = 2\nretry = { limit = 2, delays = [\"50ms\"] }",
        );
    let (vhost, mut host) = consuming("poison", toml).await?;
    let poison = ["trap a", "hang a", "trap b", "hang b"];
    let mut bodies: Vec<String> = (0..GOOD).map(|number| format!("good {number}")).collect();
    for (nth, body) in poison.iter().enumerate() {
        bodies.insert(nth * 10, (*body).to_owned());
    }
    let messages = bodies.into_iter().map(Message::new);
    vhost.publish_all("", "letters", messages).await?;
    let dead = vhost.take("letters.dead", poison.len()).await?;
    assert_settled(&vhost, &mut host, "letters").await?;
    assert_eq!(usize::try_from(vhost.ready("out").await?)?, GOOD);
    let reasons: BTreeMap<String, Option<String>> = dead
        .iter()
        .map(|dead| (dead.text(), dead.text_of("x-hive-reason")))
        .collect();
    for body in poison {
        let reason = if body.starts_with("trap") {
            "trap"
        } else {
            "timeout"
        };
        assert_eq!(reasons[body].as_deref(), Some(reason), "{body}");
        for attempt in 1..=DELIVERIES {
            let seen = host.count_printed(&format!("attempt {attempt} of {body}"));
            assert_eq!(seen, 1, "attempt {attempt} of {body}");
        }
        assert_eq!(
            host.count_printed(&format!(" of {body}")),
            DELIVERIES,
            "{body}"
        );
    }
    Ok(())
}
