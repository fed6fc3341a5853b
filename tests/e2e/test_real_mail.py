"""Acceptance 3: real mail goes in by SMTP and comes out octet for octet."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.corpus.load_corpus import MESSAGES, NotInstalled, Sample, cpython_samples, send_all, spam_assassin
from tests.e2e.gateway import Gateway
from tests.e2e.messages import front_of
from tests.needs import lacks
from tests.sizes import size


def test_cpythons_own_samples_come_out_as_they_went_in(gateway: Gateway, tmp_path: Path) -> None:
    samples = _or_skip(cpython_samples)
    assert len(samples) > 40, "CPython has 47 of them"
    _there_and_back(gateway, tmp_path, samples, "samples@opm.go.th")


def test_the_public_corpus_comes_out_as_it_went_in(gateway: Gateway, tmp_path: Path) -> None:
    samples = _or_skip(lambda: spam_assassin(size(150, MESSAGES)))
    _there_and_back(gateway, tmp_path, samples, "corpus@opm.go.th")
    assert sum(sample.has_bare_cr for sample in samples) == 8, "all of them, whatever the size"


def _or_skip(samples: Callable[[], list[Sample]]) -> list[Sample]:
    try:
        return samples()
    except NotInstalled as reason:
        lacks(str(reason))


def _there_and_back(gateway: Gateway, folder: Path, samples: Sequence[Sample], address: str) -> None:
    gateway.cli(
        "account", "add", address, "--name", "real mail", "--quota", "100G", "--password", "for-tests-alone"
    )
    sent = asyncio.run(send_all(samples, gateway.address("smtp"), address))
    assert len(sent) == len(samples)
    taken = {one.mail_id: one.sample for one in sent if one.code == 250}
    refused = {one.sample.name: one.said for one in sent if one.code != 250}
    assert set(refused) == {sample.name for sample in samples if sample.has_bare_cr}, refused
    assert all(said.startswith("5") for said in refused.values()), refused
    print(f"{len(taken)} accepted, refused for a bare CR: {sorted(refused)}")

    gateway.wait_idle()
    exported = gateway.export_all(address, folder / "exported")
    assert exported.keys() == taken.keys()
    different = []
    for mail_id, sample in taken.items():
        try:
            front_of(exported[mail_id], sample.message)
        except AssertionError as error:
            different.append(f"{sample.name}: {error}")
    assert not different, f"{len(different)} of {len(taken)} came out otherwise, e.g. {different[:3]}"
