"""What the component exports: cleaning with its settings from hive.toml."""

from cleaning.batch import clean
from hive import Answer, Delivery, config, consumer


def handle(delivery: Delivery) -> Answer:
    return clean(delivery, config.all())


Handler = consumer(handle)
