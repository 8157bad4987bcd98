import unittest

from greet import greet
from hive import Publication, Reject
from hive.testing import delivery


class Greet(unittest.TestCase):
    def test_whoever_is_named_is_greeted(self) -> None:
        greeting = greet(delivery(json={"name": "Ada"}))
        assert isinstance(greeting, Publication)
        self.assertEqual(greeting.routing_key, "{{name}}.out")
        self.assertTrue(greeting.message.body.endswith(b"Ada"))

    def test_a_message_without_a_name_is_rejected(self) -> None:
        for text in ["{}", "Ada", ""]:
            with self.subTest(text), self.assertRaises(Reject):
                greet(delivery(text=text))


if __name__ == "__main__":
    unittest.main()
