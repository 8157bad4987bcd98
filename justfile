# What is done often. `just --list` shows the recipes; each is one command, so `just` is never needed.

# RabbitMQ's version for tests, demo and soak: 3.10, 4.0 or 4.3
broker := env("HIVE_BROKER", "4.3")

# Shows the recipes.
default:
    @just --list

# Builds hive-host.
build:
    cargo build --release

# The quick tests: no RabbitMQ, no Redis.
t *filter:
    cargo t {{ filter }}

# Formats, and checks what CI checks first.
lint:
    cargo fmt --all
    cargo fmt --all --manifest-path fuzz/Cargo.toml
    cargo lint
    scripts/licences

# Sixty scenarios, some of each subject.
smoke:
    HIVE_BROKER={{ broker }} scripts/smoke

# Every test, or those whose names contain `filter`.
test *filter:
    HIVE_BROKER={{ broker }} scripts/test {{ filter }}

# The orders example in one process; `just demo --rabbitmq` on a private RabbitMQ.
demo *arguments:
    HIVE_BROKER={{ broker }} scripts/demo {{ arguments }}

# Everything that a change has to pass, as CI runs it.
ci:
    .ci/run

# A thousand faults in miniature: `just soak --messages 20000 --faults 20`.
soak *arguments:
    scripts/soak --broker {{ broker }} {{ arguments }}

# The whole host on a clock that turns, with faults from a seed: `just simulate --seed 17`.
simulate *arguments:
    scripts/simulate {{ arguments }}

# The documentation of the crates, in a browser.
doc:
    cargo doc --release --workspace --no-deps --open
