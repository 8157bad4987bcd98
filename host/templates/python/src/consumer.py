"""What the component exports. Its configuration, where it has one, is in hive.config."""

from greet import greet
from hive import consumer

Handler = consumer(greet)
