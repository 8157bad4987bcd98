//! What editors are given.

use anyhow::Result;
use hive_tests::run_to_end;

#[test]
fn the_schema_is_json_with_every_section() -> Result<()> {
    let printed = run_to_end(&["schema"])?;
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    let schema: serde_json::Value = serde_json::from_str(&printed.stdout)?;
    for section in [
        "host",
        "connections",
        "queues",
        "components",
        "consumers",
        "store",
    ] {
        assert!(schema["properties"][section].is_object(), "{section}");
    }
    Ok(())
}
