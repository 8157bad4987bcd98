import json
import unittest
from pathlib import Path
from typing import Any

from cleaning.batch import clean
from hive import Publication, Reject
from hive.testing import delivery

SETTINGS = {"decimals": "2", "aliases.°c": "celsius"}
MESSAGES = Path(__file__).parent.parent / "messages"


def publications(body: str) -> list[Publication]:
    answer = clean(delivery(text=body, message_id="file-1"), SETTINGS)
    assert isinstance(answer, list)
    return answer


def content(publication: Publication) -> Any:
    return json.loads(publication.message.body)


class Cleaning(unittest.TestCase):
    def test_each_sound_row_is_published_by_its_unit(self) -> None:
        first, report = publications("sensor,at,value,unit\nRoof-1,2026-03-01T12:00:00+01:00,21.456,°C\n")
        self.assertEqual((first.exchange, first.routing_key), ("readings", "celsius.roof-1"))
        self.assertEqual(
            content(first),
            {"sensor": "roof-1", "at": "2026-03-01T11:00:00+00:00", "value": "21.46", "unit": "celsius"},
        )
        self.assertEqual(first.message.properties.timestamp, 1_772_362_800)
        self.assertEqual(content(report), {"file": "file-1", "sound": 1, "faulty": []})

    def test_numbers_are_read_as_several_countries_write_them(self) -> None:
        for written, value in {"1.234,5": "1234.50", "1,234.5": "1234.50", "0,005": "0.00", "-3": "-3.00"}.items():
            with self.subTest(written):
                first, _ = publications(f"sensor;at;value;unit\na;2026-03-01;{written};bar\n")
                self.assertEqual(content(first)["value"], value)

    def test_each_faulty_row_is_reported_with_its_line(self) -> None:
        rows = "sensor,at,value,unit\n,2026-03-01,1,bar\na,yesterday,1,bar\na,2026-03-01,much,bar\n"
        (report,) = publications(rows)
        faults = {fault["line"]: fault["fault"] for fault in content(report)["faulty"]}
        self.assertEqual(set(faults), {2, 3, 4})
        self.assertIn("sensor", faults[2])
        self.assertIn("yesterday", faults[3])
        self.assertIn("much", faults[4])

    def test_what_is_no_text_is_rejected(self) -> None:
        with self.assertRaisesRegex(Reject, "UTF-8"):
            clean(delivery(body=b"\xff\xfe"), SETTINGS)

    def test_the_samples_come_to_what_their_names_say(self) -> None:
        samples = sorted(MESSAGES.iterdir())
        self.assertGreaterEqual(len(samples), 3)
        for sample in samples:
            with self.subTest(sample.name):
                try:
                    answer = clean(delivery(body=sample.read_bytes()), SETTINGS)
                    outcome = "published" if isinstance(answer, list) else "other"
                except Reject:
                    outcome = "rejected"
                self.assertTrue(sample.name.startswith(outcome), outcome)


if __name__ == "__main__":
    unittest.main()
