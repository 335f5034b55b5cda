"""What is made from the code and committed is what the code says."""

import re

from django.core.management import call_command

from core.env import Env, load
from schema import generated
from tests.plugin import ROOT


def test_no_generated_document_has_drifted() -> None:
    call_command("generate_docs", "--check")


def test_every_setting_has_a_name_and_a_description() -> None:
    found = generated.settings()
    assert len(found) == len(Env.__struct_fields__)
    assert all(re.fullmatch("[A-Z][A-Z0-9_]+", name) and text.endswith(".") for name, _, text in found)


def test_the_example_is_taken_as_it_stands() -> None:
    text = (ROOT / ".env.example").read_text()
    given = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", text, flags=re.MULTILINE))
    assert load(given) == load({})
